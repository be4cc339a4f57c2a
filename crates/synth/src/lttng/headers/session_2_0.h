// 2.0 to 2.2: metadata through a channel.

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
    int metadata_dumped:1;
};
struct lttng_session {
    int active;
    int been_active;
    void *file;
    struct lttng_channel *metadata;
    struct list_head chan;
    struct list_head events;
    struct list_head list;
    unsigned int free_chan_id;
    uuid_le uuid;
    int metadata_dumped:1;
};
