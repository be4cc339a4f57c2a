/* The second unit: another struct of the same name, and the same static variable. */
#include "layouts.h"

struct buffer {
	long *commit_count;
	unsigned long offset;
	struct list_head pages;
};

struct buffer *other_buffer_user;
struct list_head other_list;
static int local_symbol __attribute__((used)) = 2;
