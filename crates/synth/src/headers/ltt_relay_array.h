// Containers of ltt-relay 2.6.29 to 2.6.30: an array of pages. No source of it is known; the shape is a guess from its neighbours.
unit ltt/ltt-relay.c ltt/ltt-relay-locked.c ltt/ltt-relay-alloc.c;
struct rchan_callbacks { void *subbuf_start; void *create_buf_file; void *remove_buf_file; };
struct rchan_page { void *virt; struct page *page; };
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
    void *chan_private;
    CONTAINER
    struct rchan *chan;
    struct dentry *dentry;
    struct kref kref;
    unsigned int page_count;
    unsigned int cpu;
    unsigned int random_access;
} aligned(64);
