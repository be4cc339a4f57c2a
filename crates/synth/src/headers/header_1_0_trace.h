UNITS
struct ltt_trace_header {
    u32 magic_number;
    u32 arch_type;
    u32 arch_variant;
    u32 float_word_order;
    u8 arch_size;
    u8 major_version;
    u8 minor_version;
    u8 flight_recorder;
    u8 has_heartbeat;
    u8 alignment;
    u8 tsc_lsb_truncate;
    u8 tscbits;
    u8 compact_data_shift;
    u32 freq_scale;
    u64 start_freq;
    u64 start_tsc;
    u64 start_monotonic;
    u64 start_time_sec;
    u64 start_time_usec;
} packed;
