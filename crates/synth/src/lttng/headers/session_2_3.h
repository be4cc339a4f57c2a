// 2.3 to 2.12: metadata in a cache. NAMES since 2.11.

struct lttng_metadata_cache {
    char *data;
    unsigned int cache_alloc;
    unsigned int metadata_written;
    PRODUCING
    struct kref refcount;
    struct list_head metadata_stream;
    uuid_le uuid;
    VERSION
};
struct lttng_metadata_stream { void *priv; struct lttng_metadata_cache *metadata_cache; unsigned int metadata_in, metadata_out; };
struct lttng_channel {
    unsigned int id;
    struct RING_CHANNEL *chan;
    int enabled;
    void *ctx;
    struct lttng_session *session;
    void *file;
    unsigned int free_event_id;
    struct list_head list;
    void *ops;
    struct lttng_transport *transport;
    void **sc_table;
    int header_type;
    int channel_type;
    int metadata_dumped:1;
};
struct lttng_session {
    int active;
    int been_active;
    void *file;
    struct list_head chan;
    struct list_head events;
    struct list_head list;
    unsigned int free_chan_id;
    uuid_le uuid;
    struct lttng_metadata_cache *metadata_cache;
    int metadata_dumped:1;
    NAMES
};
