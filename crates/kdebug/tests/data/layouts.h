/* A header that both units include. */
struct list_head { struct list_head *next, *prev; };
typedef struct { volatile long counter; } atomic_long_t;
typedef struct { atomic_long_t a; } local_t;
enum state { STATE_FIRST = -1, STATE_OPEN, STATE_DONE = 7 };
enum { LONE_ENUMERATOR = 42 };
