// Positions of writers that compare and exchange.
unit ltt/ltt-relay-lockless.c;
struct commit_counters { local_t cc; local_t cc_sb; };
struct ltt_channel_buf_struct {
    local_t offset;
    struct commit_counters *commit_count;
    atomic_long_t consumed;
    unsigned long last_tsc;
    COMMIT_SEQ
    atomic_long_t active_readers;
    local_t events_lost;
    local_t corrupted_subbuffers;
    spinlock_t full_lock;
    wait_queue_head_t write_wait;
    wait_queue_head_t read_wait;
    int finalized;
    struct timer_list switch_timer;
    unsigned long switch_timer_interval;
    struct rchan_buf *rbuf;
} aligned(64);
