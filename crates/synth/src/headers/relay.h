// The classic relay (kernel/relay.c): buffers of blktrace and others, and of LTTng before 2.6.26.
UNITS

struct rchan_callbacks { void *subbuf_start; void *buf_mapped; void *buf_unmapped; void *create_buf_file; void *remove_buf_file; };

struct rchan {
    u32 version;
    size_t subbuf_size;
    size_t n_subbufs;
    size_t alloc_size;
    struct rchan_callbacks *cb;
    struct kref kref;
    void *private_data;
    size_t last_toobig;
    struct rchan_buf *buf[NR_CPUS];
    int is_global;
    struct list_head list;
    struct dentry *parent;
    int has_base_filename;
    char base_filename[255];
};

struct rchan_buf {
    void *start;
    void *data;
    size_t offset;
    size_t subbufs_produced;
    size_t subbufs_consumed;
    struct rchan *chan;
    wait_queue_head_t read_wait;
    struct timer_list timer;
    struct dentry *dentry;
    struct kref kref;
    struct page **page_array;
    unsigned int page_count;
    unsigned int finalized;
    size_t *padding;
    size_t prev_padding;
    size_t bytes_consumed;
    unsigned int cpu;
} aligned(64);
