// 2.6.23 to 2.6.26: channels on the classic relay, positions embedded per CPU in the channel.
unit ltt/ltt-core.c ltt/ltt-relay.c ltt/ltt-tracer.c;
enum trace_mode { LTT_TRACE_NORMAL, LTT_TRACE_FLIGHT, LTT_TRACE_HYBRID };
struct ltt_traces { struct list_head head; unsigned int num_active_traces; };
struct ltt_transport { char *name; void *owner; struct list_head node; void *ops[9]; };
struct ltt_channel_buf_struct {
    local_t offset;
    atomic_long_t consumed;
    atomic_long_t active_readers;
    atomic_t wakeup_readers;
    local_t *commit_count;
    spinlock_t full_lock;
    atomic_long_t events_lost;
    atomic_long_t corrupted_subbuffers;
    struct timeval current_subbuffer_start_time;
    wait_queue_head_t write_wait;
    struct work_struct wake_writers;
} aligned(64);
struct ltt_channel_struct {
    char channel_name[PATH_MAX];
    struct ltt_trace_struct *trace;
    struct ltt_channel_buf_struct buf[NR_CPUS];
    int overwrite;
    struct kref kref;
    int compact;
    void *trans_channel_data;
    void *buffer_begin;
    void *buffer_end;
};
struct ltt_trace_struct {
    struct list_head list;
    int active;
    char trace_name[255];
    int paused;
    enum trace_mode mode;
    struct ltt_transport *transport;
    void *ops;
    struct kref ltt_transport_kref;
    u32 freq_scale;
    u64 start_freq;
    u64 start_tsc;
    u64 start_monotonic;
    struct timeval start_time;
    struct { struct dentry *trace_root; struct dentry *control_root; } dentry;
    struct {
        struct ltt_channel_struct *facilities;
        struct ltt_channel_struct *interrupts;
        struct ltt_channel_struct *processes;
        struct ltt_channel_struct *modules;
        struct ltt_channel_struct *network;
        struct ltt_channel_struct *cpu;
        struct ltt_channel_struct *compact;
    } channel;
    void *callbacks[3];
    struct kref kref;
};
