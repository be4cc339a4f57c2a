// Positions of writers that switch interrupts off.
unit ltt/ltt-relay-irqoff.c;
struct ltt_channel_buf_struct {
    local_t offset;
    local_t *commit_count;
    unsigned long irqflags;
    unsigned long last_tsc;
    COMMIT_SEQ
    atomic_long_t consumed;
    atomic_long_t active_readers;
    local_t events_lost;
    local_t corrupted_subbuffers;
    spinlock_t full_lock;
    wait_queue_head_t write_wait;
    wait_queue_head_t read_wait;
    unsigned int finalized;
    struct timer_list switch_timer;
    unsigned long switch_timer_interval;
    struct rchan_buf *rbuf;
} aligned(64);
