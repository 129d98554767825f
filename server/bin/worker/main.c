/*
 * main.c - tenon-worker: become a jail, then load one plugin into it and serve
 *
 *   tenon-worker SPEC        SPEC is what the spawner wrote (sandbox_spec_format)
 *
 * The order is the point: everything that needs the outside (mapping the segment, allocating) comes
 * first, then the jail, and only then the file that is not trusted. The end of this process is news
 * to the core in every case; the exit status says why when it was us.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "sandbox.h"
#include "worker.h"

enum {
	EXIT_DRAINED = 0,
	EXIT_USAGE = 2,   /* not started by the spawner */
	EXIT_NOT_READY,   /* the plugin could not be loaded or created; FAILED says why */
	EXIT_BROKEN_RINGS /* somebody wrote over them */
};

static void wake(void *context, unsigned loop)
{
	const uint64_t one = 1;

	(void)context;
	/* EAGAIN: the counter is full, so the loop has not looked yet and will. */
	if (write(SANDBOX_FD_EVENT + (int)loop, &one, sizeof one) < 0)
		return;
}

/* The plugin's lines go through a pipe; without this they would stay in a buffer for ever. */
static void flush_lines(void)
{
	static char buffer[BUFSIZ];

	(void)setvbuf(stdout, buffer, _IOLBF, sizeof buffer);
}

static _Noreturn void refuse(const struct err *err)
{
	(void)fprintf(stderr, "tenon-worker: %s\n", err->message);
	exit(EXIT_USAGE);
}

int main(int argc, char **argv)
{
	struct sandbox_spec spec;
	struct ring_segment *segment = NULL;
	struct worker *worker = NULL;
	struct loader_plugin loaded;
	struct err err = { 0 };

	if (argc != 2) {
		(void)fprintf(stderr, "tenon-worker: is started by tenon-spawn\n");
		return EXIT_USAGE;
	}
	if (sandbox_spec_parse(argv[1], &spec, &err) < 0 ||
		ring_segment_map(SANDBOX_FD_SEGMENT, spec.n_eventfds, &segment, &err) < 0 ||
		worker_new(segment, wake, NULL, &worker, &err) < 0)
		refuse(&err);
	/* Kept open it could be mapped a second time, executable. */
	close(SANDBOX_FD_SEGMENT);
	flush_lines();

	sandbox_worker_enter(&spec);

	if (loader_open(SANDBOX_PLUGIN_PATH, &loaded, &err) < 0) {
		worker_report_failure(worker, TENON_E_INVALID, "load", bytes_of(err.message));
		_exit(EXIT_NOT_READY);
	}
	if (worker_boot(worker, &loaded) < 0)
		_exit(EXIT_NOT_READY);
	/* _exit: the plugin has had its destroy(), and no more of its code shall run. */
	_exit(worker_run(worker) == WORKER_DRAINED ? EXIT_DRAINED : EXIT_BROKEN_RINGS);
}
