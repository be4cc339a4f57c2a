// Markers from format 2.3: ids per channel, kept in the marker table itself.
unit kernel/marker.c;
struct marker_probe_closure { void *func; void *probe_private; };
struct marker_entry {
    struct hlist_node hlist;
    struct hlist_node id_list;
    char *format;
    char *name;
    void *call;
    struct marker_probe_closure single;
    struct marker_probe_closure *multi;
    int refcount;
    struct rcu_head rcu;
    void *oldptr;
    int rcu_pending;
    u16 channel_id;
    u16 event_id;
    unsigned char ptype:1;
    unsigned char format_allocated:1;
    char channel[];
};
unit ltt/ltt-channels.c;
struct ltt_channel_setting {
    unsigned int sb_size;
    unsigned int n_sb;
    unsigned int switch_timer;
    struct kref kref;
    struct list_head list;
    unsigned int index;
    u16 free_event_id;
    char name[PATH_MAX];
};
