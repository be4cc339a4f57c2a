/*
 * Stops tracing sessions without the statistics that `lttng stop` asks the consumer daemon for: ours has been sent SIGSTOP.
 * The prototype is spelt out, so that the library of the guest is enough and its headers are not needed.
 */
#include <stdio.h>

int lttng_stop_tracing_no_wait(const char *session_name);

int main(int argc, char **argv)
{
	int failed = 0;

	for (int i = 1; i < argc; i++) {
		int result = lttng_stop_tracing_no_wait(argv[i]);

		printf("stop %s: %d\n", argv[i], result);
		failed |= result < 0;
	}
	return failed;
}
