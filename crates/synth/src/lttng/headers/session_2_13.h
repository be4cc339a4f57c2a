// 2.13: public and private halves.

struct lttng_metadata_cache {
    char *data;
    unsigned int cache_alloc;
    unsigned int metadata_written;
    atomic_t producing;
    struct kref refcount;
    struct list_head metadata_stream;
    uuid_le uuid;
    u64 version;
};
struct lttng_metadata_stream { void *priv; struct lttng_metadata_cache *metadata_cache; unsigned int metadata_in, metadata_out; };
struct lttng_kernel_session { struct lttng_kernel_session_private *priv; int active; };
struct lttng_kernel_channel_common { struct lttng_kernel_channel_common_private *priv; int type; int enabled; struct lttng_kernel_session *session; };
struct lttng_kernel_channel_common_private { struct lttng_kernel_channel_common *pub; void *tables[12]; };
struct lttng_kernel_channel_buffer { struct lttng_kernel_channel_common parent; struct lttng_kernel_channel_buffer_private *priv; void *ops; };
struct lttng_kernel_channel_buffer_private {
    struct lttng_kernel_channel_common_private parent;
    struct lttng_kernel_channel_buffer *pub;
    unsigned int id;
    unsigned int free_event_id;
    int header_type;
    int channel_type;
    void *ctx;
    struct RING_CHANNEL *rb_chan;
    int metadata_dumped:1;
    struct list_head node;
    struct lttng_transport *transport;
};
struct lttng_kernel_session_private {
    struct lttng_kernel_session *pub;
    int been_active;
    void *file;
    struct list_head chan;
    struct list_head events;
    struct list_head list;
    unsigned int free_chan_id;
    uuid_le uuid;
    struct lttng_metadata_cache *metadata_cache;
    unsigned int metadata_dumped:1;
    char name[256];
    char creation_time[26];
};
