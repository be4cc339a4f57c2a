unit src/lttng-ring-buffer-client-discard.c src/lttng-ring-buffer-client-overwrite.c;
struct packet_header {
    u32 magic;
    u8 uuid[16];
    u32 stream_id;
    INSTANCE
    struct { CONTEXT u8 header_end; } ctx;
};
unit;
