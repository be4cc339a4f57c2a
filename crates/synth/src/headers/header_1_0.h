UNITS
struct ltt_block_start_header {
    struct { u64 cycle_count; u64 freq; } begin;
    struct { u64 cycle_count; u64 freq; } end;
    u32 lost_size;
    u32 buf_size;
    struct ltt_trace_header trace;
} packed;
