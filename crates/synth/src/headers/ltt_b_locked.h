// Positions of writers that take a lock.
unit ltt/ltt-relay-locked.c;
struct ltt_channel_buf_struct {
    long offset;
    long *commit_count;
    unsigned long irqflags;
    struct raw_spinlock lock;
    unsigned long last_tsc;
    COMMIT_SEQ
    long consumed;
    atomic_long_t active_readers;
    long events_lost;
    long corrupted_subbuffers;
    spinlock_t full_lock;
    wait_queue_head_t write_wait;
    wait_queue_head_t read_wait;
    unsigned int finalized;
    struct timer_list switch_timer;
    unsigned long switch_timer_interval;
    struct rchan_buf *rbuf;
} aligned(64);
