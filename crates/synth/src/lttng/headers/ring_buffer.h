// The ring buffer library. Capitals are filled in by release.

union v_atomic { local_t l; atomic_t a; long v; };
struct commit_counters_hot { union v_atomic cc; union v_atomic seq; };
struct commit_counters_cold { union v_atomic cc_sb; END_DISCARDED };
struct RB_backend_page { void *virt; PAGE };
struct RB_backend_pages {
    unsigned long mmap_offset;
    union v_atomic records_commit;
    union v_atomic records_unread;
    unsigned long data_size;
    struct RB_backend_page p[];
};
struct RB_backend_subbuffer { unsigned long id; };
struct RB_backend_counts { u64 seq_cnt; };
struct RB_backend {
    struct RB_backend_subbuffer *buf_wsb;
    struct RB_backend_subbuffer buf_rsb;
    COUNTS
    struct RB_backend_pages **array;
    unsigned int num_pages_per_subbuf;
    struct RING_CHANNEL *chan;
    int cpu;
    union v_atomic records_read;
    unsigned int allocated:1;
};
struct RB {
    union v_atomic offset;
    struct commit_counters_hot *commit_hot;
    atomic_long_t consumed;
    atomic_t record_disabled;
    union v_atomic LAST;
    struct RB_backend backend;
    struct commit_counters_cold *commit_cold;
    ENDS
    atomic_long_t active_readers;
    union v_atomic records_lost_full;
    union v_atomic records_lost_wrap;
    union v_atomic records_lost_big;
    union v_atomic records_count;
    union v_atomic records_overrun;
    wait_queue_head_t read_wait;
    wait_queue_head_t write_wait;
    int finalized;
    struct timer_list switch_timer;
    struct timer_list read_timer;
    spinlock_t raw_tick_nohz_spinlock;
    unsigned long get_subbuf_consumed;
    unsigned long prod_snapshot;
    unsigned long cons_snapshot;
    unsigned int get_subbuf:1, switch_timer_enabled:1, read_timer_enabled:1;
};
struct RB_config { int alloc; int sync; int mode; int output; int backend; int oops; int ipi; int wakeup; unsigned int tsc_bits; void *cb[8]; };
struct channel_backend {
    unsigned long buf_size;
    unsigned long subbuf_size;
    unsigned int subbuf_size_order;
    unsigned int num_subbuf_order;
    unsigned int buf_size_order;
    unsigned int extra_reader_sb:1;
    BUFFERS
    unsigned long num_subbuf;
    u64 START;
    void *priv;
    struct list_head notifier;
    struct RB_config config;
    cpumask_var_t cpumask;
    char name[64];
};
struct RING_CHANNEL {
    atomic_t record_disabled;
    unsigned long commit_count_mask;
    struct channel_backend backend;
    unsigned long switch_timer_interval;
    unsigned long read_timer_interval;
    wait_queue_head_t read_wait;
    int finalized;
    struct kref ref;
};
