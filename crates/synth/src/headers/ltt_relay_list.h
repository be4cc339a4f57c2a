// Containers of ltt-relay 2.6.26 to 2.6.29: the buffer's pages hang on a list.
unit ltt/ltt-relay.c ltt/ltt-relay-locked.c ltt/ltt-relay-alloc.c;
struct rchan_callbacks { void *subbuf_start; void *create_buf_file; void *remove_buf_file; };
struct buf_page { struct page *page; struct rchan_buf *buf; size_t offset; struct list_head list; };
struct rchan {
    u32 version;
    size_t subbuf_size;
    size_t n_subbufs;
    size_t alloc_size;
    struct rchan_callbacks *cb;
    struct kref kref;
    void *private_data;
    struct rchan_buf *buf[NR_CPUS];
    struct list_head list;
    struct dentry *parent;
    int subbuf_size_order;
    char base_filename[255];
};
struct rchan_buf {
    PRIVATE
    struct rchan *chan;
    wait_queue_head_t read_wait;
    struct timer_list timer;
    struct dentry *dentry;
    struct kref kref;
    struct list_head pages;
    struct buf_page *wpage;
    struct buf_page *hpage[2];
    struct buf_page *rpage;
    unsigned int page_count;
    unsigned int finalized;
    unsigned int cpu;
} aligned(64);
