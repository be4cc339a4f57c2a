/* Struct layouts with all that kernels do to them, and what the compiler thinks of them:
 * build.sh compiles this file in several ways, the tests compare. */
#include "layouts.h"

struct declared_only;

struct buffer {                          /* homonym: see other.c */
	local_t *commit_count;
	unsigned long offset;
	struct list_head pages;
};

struct flags {
	char first;
	int active:1;
	unsigned int overwrite:1, mode:5;
	unsigned long long wide:40;
	enum state state:4;
	unsigned char small:3;
};

struct __attribute__((packed)) packed {
	char first;
	unsigned int low:30;
	unsigned int across:7;
	short last;
};

union both {
	unsigned int word;
	struct { unsigned short low, high; };
	unsigned int bit:1;
};

struct outer {
	char name[16];
	struct {
		struct list_head *cpu, *metadata;
	} channel;
	union {
		struct list_head list;
		struct { unsigned long inner_a; union both inner_b; };
	};
	local_t counters[2][3];
	struct declared_only **opaque;
	void (*callback)(struct outer *);
	const volatile struct buffer *const *buffers;
	enum state state;
	double ratio;
	_Bool flag;
	signed char negative;
	void *anything;
	local_t *typedefd;
	unsigned long empty[0];
	struct list_head tail[];
} __attribute__((aligned(64)));

struct outer outer;
struct buffer *buffer_user;
enum state state_user;
int lone_user = LONE_ENUMERATOR;
const struct flags flags_sample = { 1, -1, 1, 21, 0xabcdef0123ULL, STATE_DONE, 5 };
const struct packed packed_sample = { 2, 0x2bcdef01, 0x55, -2 };
const union both both_sample = { 0x80007fffu };
const char linux_banner[] = "Linux version 2.6.27 (test)\n";
static int local_symbol __attribute__((used)) = 1;
int percpu_symbol __attribute__((section(".data..percpu"))) = 3;

#define OFFSET(member) __builtin_offsetof(struct outer, member)
const unsigned long long expected[] = {
	sizeof(struct outer), OFFSET(name), OFFSET(channel.metadata), OFFSET(list), OFFSET(inner_a),
	OFFSET(inner_b.high), OFFSET(counters), OFFSET(opaque), OFFSET(callback), OFFSET(buffers),
	OFFSET(state), OFFSET(ratio), OFFSET(flag), OFFSET(negative), OFFSET(anything),
	OFFSET(typedefd), OFFSET(empty), OFFSET(tail), sizeof(struct flags), sizeof(struct packed),
	__builtin_offsetof(struct packed, last),
};
