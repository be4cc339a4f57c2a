// 2.6.30 to 2.6.31: writer's and reader's sub-buffer tables.
unit UNITS;
struct rchan_callbacks { void *subbuf_start; void *create_buf_file; void *remove_buf_file; };
struct rchan_page { void *virt; struct page *page; };
struct rchan_sb { struct rchan_page *pages; };
struct rchan {
    u32 version;
    size_t subbuf_size;
    size_t n_subbufs;
    size_t alloc_size;
    int extra_reader_sb;
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
    struct rchan_sb *rchan_wsb;
    struct rchan_sb rchan_rsb;
    struct rchan *chan;
    struct dentry *dentry;
    struct kref kref;
    void **_virt;
    struct page **_pages;
    unsigned int page_count;
    unsigned int cpu;
    unsigned int random_access;
    struct dentry *ascii_dentry;
} aligned(64);
