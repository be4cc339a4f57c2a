UNITS
struct ltt_subbuffer_header {
    u64 cycle_count_begin;
    u64 cycle_count_end;
    u32 magic_number;
    u8 major_version;
    u8 minor_version;
    u8 arch_size;
    u8 alignment;
    u64 start_time_sec;
    u64 start_time_usec;
    u64 start_freq;
    u32 freq_scale;
    u32 lost_size;
    u32 buf_size;
    u8 header_end[];
};
