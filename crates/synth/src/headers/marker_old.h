// Markers of tracers up to format 2.2: ids live on the tracer's side, in ltt_active_marker.
unit kernel/marker.c;
struct marker_probe_closure { void *func; void *probe_private; };
struct marker_entry {
    struct hlist_node hlist;
    char *format;
    void *call;
    struct marker_probe_closure single;
    struct marker_probe_closure *multi;
    int refcount;
    struct rcu_head rcu;
    void *oldptr;
    int rcu_pending;
    unsigned char ptype:1;
    unsigned char format_allocated:1;
    char name[];
};
unit ltt/ltt-tracer.c ltt/ltt-serialize.c ltt/probes/ltt-marker-control.c;
struct ltt_available_probe { const char *name; const char *format; void *probe_func; void *callbacks[8]; struct list_head node; };
struct ltt_active_marker {
    struct list_head node;
    const char *name;
    const char *format;
    struct ltt_available_probe *probe;
    int align;
    u16 id;
    u16 channel;
};
