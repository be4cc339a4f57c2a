// 2.6.31 to 2.6.38 and lttng-modules 0.16 to 0.19.
unit ltt/ltt-core.c ltt/ltt-tracer.c ltt/ltt-relay-lockless.c ltt/ltt-relay-alloc.c ltt/ltt-relay-vfs.c;
struct ltt_traces { struct list_head setup_head; struct list_head head; unsigned int num_active_traces; };
struct ltt_transport { char *name; void *owner; struct list_head node; void *ops[9]; };
struct commit_counters { local_t cc; local_t cc_sb; local_t events; } aligned(CACHE_LINE);
struct chanbuf_page { void *virt; struct page *page; };
struct chanbuf_sb { struct chanbuf_page *pages; };
struct ltt_chanbuf_alloc {
    struct chanbuf_sb *buf_wsb;
    struct chanbuf_sb buf_rsb;
    void **_virt;
    struct page **_pages;
    struct dentry *dentry;
    unsigned int nr_pages;
    struct ltt_chan_alloc *chan;
    unsigned int cpu;
    unsigned int allocated:1;
};
struct ltt_chan_alloc {
    unsigned long buf_size;
    unsigned long sb_size;
    unsigned int sb_size_order;
    unsigned int n_sb_order;
    int extra_reader_sb:1;
    struct ltt_chanbuf *buf;
    struct kref kref;
    unsigned long n_sb;
    struct dentry *parent;
    struct dentry *ascii_dentry;
    struct ltt_trace *trace;
    char filename[255];
};
struct ltt_chanbuf {
    struct ltt_chanbuf_alloc a;
    local_t offset;
    struct commit_counters *commit_count;
    atomic_long_t consumed;
    unsigned long last_tsc;
    COMMIT_SEQ
    atomic_long_t active_readers;
    local_t events_lost;
    local_t corrupted_subbuffers;
    spinlock_t full_lock;
    wait_queue_head_t write_wait;
    wait_queue_head_t read_wait;
    int finalized;
    struct timer_list switch_timer;
} aligned(64);
struct ltt_chan {
    struct ltt_chan_alloc a;
    int overwrite:1;
    int active:1;
    unsigned long commit_count_mask;
    unsigned long switch_timer_interval;
} aligned(64);
struct ltt_trace {
    struct list_head list;
    struct ltt_chan *channels;
    unsigned int nr_channels;
    int active;
    void *ops;
    u32 freq_scale;
    u64 start_freq;
    u64 start_tsc;
    u64 start_monotonic;
    struct timeval start_time;
    void *settings;
    struct { struct dentry *trace_root; struct dentry *ascii_root; } dentry;
    struct kref kref;
    struct ltt_transport *transport;
    struct kref ltt_transport_kref;
    wait_queue_head_t kref_wq;
    char trace_name[255];
} aligned(64);
