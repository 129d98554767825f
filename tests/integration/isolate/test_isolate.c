/*
 * test_isolate.c - the spawner, the jail and the canary, as root and as an ordinary user
 *
 *   test_isolate root
 *   test_isolate user      give up root first, for an id that owns nothing
 *   test_isolate chroot    as root in a chroot, where the kernel refuses user namespaces: each
 * worker then becomes a user of its own
 *
 * Environment: ISOLATE_BIN, the folder of tenon-spawn and test_isolate_worker; ISOLATE_PLUGIN, the
 * canary's shared object.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "jail.h"
#include "loop.h"
#include "spawner.h"
#include "unit.h"

#define ORDINARY_USER 12345

static struct {
	struct loop *loop;
	struct spawn *spawn;
	struct loop_timer timeout;
	struct sandbox_report report;
	enum sandbox_verdict verdict;
	unsigned n_down, n_ready;
	bool is_chroot;
	char spawner[512], worker[512];
	int plugin_fd, eventfd;
} core;

/* One worker, from start to end. */
struct life {
	struct jail_segment *segment;
	int segment_fd, stdio[2];
	struct spawn_child *child;
	pid_t pid;
	bool kill_on_start, stop_on_start;
	unsigned n_exits;
	struct spawn_exit exit;
	uint64_t start_ns, started_ns, end_ns;
	char output[1024];
};

static void timeout_fires(struct loop_timer *timer)
{
	(void)timer;
	loop_stop(core.loop);
}

/* Runs the loop until something stops it, or for at most that long. */
static void run_for(unsigned ms)
{
	core.timeout.on_fire = timeout_fires;
	(void)loop_timer_start(
		core.loop, &core.timeout, clock_mono_ns() + ms * CLOCK_NS_PER_MS, NULL);
	(void)loop_run(core.loop, NULL);
	loop_timer_stop(&core.timeout);
}

static void on_ready(void *context, const struct sandbox_report *report,
	enum sandbox_verdict verdict, uint32_t missing)
{
	(void)context;
	(void)missing;
	core.report = *report;
	core.verdict = verdict;
	core.n_ready++;
	loop_stop(core.loop);
}

static void on_down(void *context, unsigned retry_ms)
{
	(void)context;
	(void)retry_ms;
	core.n_down++;
}

static void on_started(void *context, struct spawn_child *child, pid_t pid, int pidfd)
{
	struct life *life = context;
	(void)pidfd;
	life->pid = pid;
	life->started_ns = clock_mono_ns();
	if (life->kill_on_start)
		spawn_kill(child);
	if (life->stop_on_start)
		loop_stop(core.loop);
}

static void on_exit_of(void *context, struct spawn_child *child, const struct spawn_exit *exit)
{
	struct life *life = context;
	(void)child;
	life->exit = *exit;
	life->n_exits++;
	life->end_ns = clock_mono_ns();
	loop_stop(core.loop);
}

static bool begin(struct life *life, enum jail_act act, int number, struct spawn_request request)
{
	life->segment_fd = memfd_create("segment", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (life->segment_fd < 0 || ftruncate(life->segment_fd, JAIL_SEGMENT_BYTES) ||
		pipe2(life->stdio, O_CLOEXEC | O_NONBLOCK))
		return false;
	life->segment = mmap(
		NULL, JAIL_SEGMENT_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, life->segment_fd, 0);
	life->segment->act = act;
	life->segment->number = number;
	request.plugin_fd = core.plugin_fd;
	request.segment_fd = life->segment_fd;
	request.stdio_fd = life->stdio[1];
	request.eventfds = &core.eventfd;
	request.n_eventfds = 1;
	request.context = life;
	request.on_started = on_started;
	request.on_exit = on_exit_of;
	life->start_ns = clock_mono_ns();
	struct err err = { 0 };
	int result = spawn_start(core.spawn, &request, &life->child, &err);
	if (result)
		(void)fprintf(stderr, "spawn_start: %s\n", err.message);
	(void)close(life->stdio[1]);
	return result == 0;
}

static void finish(struct life *life)
{
	ssize_t n = read(life->stdio[0], life->output, sizeof life->output - 1);
	life->output[n > 0 ? n : 0] = '\0';
	(void)close(life->stdio[0]);
	(void)close(life->segment_fd);
}

/* Starts a worker, waits for its end and shows what it said when that is of interest. */
static struct life live(enum jail_act act, int number, struct spawn_request request)
{
	struct life life = { .pid = 0 };

	CU_ASSERT_FATAL(begin(&life, act, number, request));
	if (!life.n_exits)
		run_for(5000);
	finish(&life);
	CU_ASSERT_EQUAL(life.n_exits, 1);
	return life;
}

#define PLAIN_REQUEST ((struct spawn_request){ 0 })

static void unmap(struct life *life)
{
	(void)munmap(life->segment, JAIL_SEGMENT_BYTES);
}

/* ---- claims ---- */

static void the_machine_is_fit_to_hold_a_worker(void)
{
	char text[4096];
	struct bytes_buf out;

	CU_ASSERT_NOT_EQUAL(core.verdict, SANDBOX_REFUSED);
	bytes_buf_init(&out, sizeof text);
	CU_ASSERT(sandbox_report_text(&core.report, &out));
	(void)printf("\n%.*s", (int)out.n, out.p);
	bytes_buf_fini(&out);
}

static void a_chroot_is_told_from_a_whole_system(void)
{
	bool has = core.report.layers & SANDBOX_BIT(SANDBOX_USER_NS);

	CU_ASSERT_EQUAL(has, !core.is_chroot);
	CU_ASSERT_EQUAL(core.verdict == SANDBOX_FULL,
		has && core.report.layers & SANDBOX_BIT(SANDBOX_CGROUP));
}

static void the_canary_is_refused_55_times_of_55(void)
{
	struct life life = live(JAIL_CALL, 0, (struct spawn_request){ .is_selftest = true });

	CU_ASSERT_EQUAL(life.exit.end, SPAWN_EXITED);
	CU_ASSERT_EQUAL(life.exit.status, 0);
	CU_ASSERT_STRING_EQUAL(
		life.segment->answer, "{\"attempts\":55,\"refused\":55,\"allowed\":[]}");
	if (life.exit.status || life.exit.end != SPAWN_EXITED)
		(void)printf("\n%s %s", life.exit.detail, life.output);
	unmap(&life);
}

static void the_canary_dies_at_its_first_attempt_in_any_other_worker(void)
{
	struct life life = live(JAIL_CALL, 0, PLAIN_REQUEST);

	CU_ASSERT_EQUAL(life.exit.end, SPAWN_KILLED);
	CU_ASSERT_EQUAL(life.exit.status, SIGSYS);
	CU_ASSERT_STRING_EQUAL(life.segment->answer, "");
	unmap(&life);
}

static void a_refused_call_kills_and_root_learns_its_number(void)
{
	struct life life = live(JAIL_SYSCALL, SYS_ptrace, PLAIN_REQUEST);

	CU_ASSERT_EQUAL(life.exit.end, SPAWN_KILLED);
	CU_ASSERT_EQUAL(life.exit.status, SIGSYS);
	if (core.report.is_root)
		CU_ASSERT_EQUAL(life.exit.syscall_nr, SYS_ptrace);
	unmap(&life);
}

static void the_32_bit_door_is_closed(void)
{
	struct life life = live(JAIL_INT80, 0, PLAIN_REQUEST);

	CU_ASSERT_EQUAL(life.exit.end, SPAWN_KILLED);
	/* A kernel without 32-bit programs has no such door at all. */
	CU_ASSERT(life.exit.status == SIGSYS || life.exit.status == SIGSEGV);
	unmap(&life);
}

static void only_standard_descriptors_and_eventfds_are_open(void)
{
	struct life life = live(JAIL_LIST, 0, PLAIN_REQUEST);

	CU_ASSERT_EQUAL(life.exit.status, 0);
	CU_ASSERT_STRING_EQUAL(life.segment->answer, "0 1 2 8");
	unmap(&life);
}

static void a_memory_hog_dies_alone(void)
{
	struct life life = live(JAIL_HOG, 0,
		(struct spawn_request){
			.limits = { .memory_bytes = 32 << 20, .address_space_bytes = 256 << 20 } });

	if (core.report.layers & SANDBOX_BIT(SANDBOX_CGROUP)) {
		CU_ASSERT_EQUAL(life.exit.end, SPAWN_KILLED);
		CU_ASSERT_EQUAL(life.exit.status, SIGKILL);
		CU_ASSERT(life.exit.is_out_of_memory);
		CU_ASSERT(life.exit.max_rss_bytes <= 40u << 20);
	} else {
		CU_ASSERT_EQUAL(life.exit.end, SPAWN_EXITED);
		CU_ASSERT_EQUAL(life.exit.status, 5);
	}
	unmap(&life);
}

static void an_endless_loop_ends_with_its_processor_seconds(void)
{
	struct life life = live(JAIL_LOOP, 0, (struct spawn_request){ .limits = { .cpu_s = 1 } });

	CU_ASSERT_EQUAL(life.exit.end, SPAWN_KILLED);
	CU_ASSERT_EQUAL(life.exit.status, SIGKILL);
	uint64_t cpu_us = life.exit.user_us + life.exit.system_us;
	/* The kernel counts whole ticks against the limit. */
	CU_ASSERT(cpu_us >= 500000 && cpu_us < 3000000);
	unmap(&life);
}

static void crashes_are_told_apart(void)
{
	struct life segv = live(JAIL_SEGV, 0, PLAIN_REQUEST);
	struct life aborted = live(JAIL_ABORT, 0, PLAIN_REQUEST);

	CU_ASSERT_EQUAL(segv.exit.end, SPAWN_KILLED);
	CU_ASSERT_EQUAL(segv.exit.status, SIGSEGV);
	/* The first process of a pid namespace cannot abort itself; its last resort is a fault. */
	CU_ASSERT_EQUAL(aborted.exit.end, SPAWN_KILLED);
	CU_ASSERT(aborted.exit.status == SIGSEGV || aborted.exit.status == SIGABRT);
	unmap(&segv);
	unmap(&aborted);
}

static void a_kill_reaches_a_worker_in_every_state(void)
{
	struct life queued = { 0 }, started = { .kill_on_start = true };

	CU_ASSERT_FATAL(begin(&queued, JAIL_WAIT, 0, PLAIN_REQUEST));
	spawn_kill(queued.child);
	run_for(5000);
	CU_ASSERT_EQUAL(queued.n_exits, 1);
	CU_ASSERT(queued.exit.end == SPAWN_KILLED || queued.exit.end == SPAWN_FAILED);
	CU_ASSERT_FATAL(begin(&started, JAIL_WAIT, 0, PLAIN_REQUEST));
	run_for(5000);
	CU_ASSERT_EQUAL(started.n_exits, 1);
	CU_ASSERT_EQUAL(started.exit.status, SIGKILL);
	finish(&queued);
	finish(&started);
	unmap(&queued);
	unmap(&started);
}

/* Dead, and maybe not yet reaped by the init process that inherited it. */
static bool is_dead(pid_t pid)
{
	char path[64], state = 'Z';

	(void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	FILE *stat = fopen(path, "re");
	if (!stat)
		return true;
	int n = fscanf(stat, "%*d (%*[^)]) %c", &state);
	(void)fclose(stat);
	return n != 1 || state == 'Z' || state == 'X';
}

/* Until then the worker would not outlive the spawner in any case: it checks on its way in. */
static bool wait_until_jailed(const struct life *life)
{
	const volatile uint64_t *ready_ns = &life->segment->ready_ns;

	for (int i = 0; i < 2000 && !*ready_ns; i++)
		(void)nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	return *ready_ns != 0;
}

static void workers_die_with_the_spawner_and_it_comes_back(void)
{
	struct life life = { .stop_on_start = true };
	char path[64], text[64] = "";
	int parent = 0;

	CU_ASSERT_FATAL(begin(&life, JAIL_WAIT, 0, PLAIN_REQUEST));
	run_for(5000);
	CU_ASSERT_FATAL(life.pid > 0);
	CU_ASSERT(wait_until_jailed(&life));
	/* The spawner is the worker's parent. */
	(void)snprintf(path, sizeof path, "/proc/%d/stat", (int)life.pid);
	FILE *stat = fopen(path, "re");
	CU_ASSERT_PTR_NOT_NULL_FATAL(stat);
	CU_ASSERT_EQUAL(fscanf(stat, "%*d (%63[^)]) %*c %d", text, &parent), 2);
	(void)fclose(stat);
	/* In a session of its own, a Ctrl-C at the server's terminal does not reach it. */
	CU_ASSERT_EQUAL(getsid(parent), parent);
	unsigned n_ready = core.n_ready;
	uint64_t killed_ns = clock_mono_ns();
	CU_ASSERT_EQUAL(kill(parent, SIGKILL), 0);
	run_for(5000);
	CU_ASSERT_EQUAL(life.n_exits, 1);
	CU_ASSERT_EQUAL(life.exit.end, SPAWN_LOST);
	run_for(5000);
	CU_ASSERT_EQUAL(core.n_ready, n_ready + 1);
	CU_ASSERT_EQUAL(core.n_down, 1);
	(void)printf("\nspawner killed -> ready again: %.1f ms",
		(double)(clock_mono_ns() - killed_ns) / 1e6);
	CU_ASSERT(is_dead(life.pid));
	finish(&life);
	unmap(&life);
	struct life after = live(JAIL_LIST, 0, PLAIN_REQUEST);
	CU_ASSERT_EQUAL(after.exit.status, 0);
	unmap(&after);
}

static int by_size(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;
	return *x < *y ? -1 : *x > *y;
}

static void a_worker_starts_within_milliseconds(void)
{
	enum { N = 50 };
	uint64_t took[N];

	for (size_t i = 0; i < N; i++) {
		struct life life = live(JAIL_LIST, 0, PLAIN_REQUEST);
		took[i] = life.segment->ready_ns - life.start_ns;
		unmap(&life);
	}
	qsort(took, N, sizeof took[0], by_size);
	(void)printf("\nspawn_start -> jailed and ready, n=%d: p50 %.2f ms, p95 %.2f ms", N,
		(double)took[N / 2] / 1e6, (double)took[N * 95 / 100] / 1e6);
	/* On a quiet machine the median is below 2 ms, which the benchmark shows; here others may
	 * use the machine at the same time, so it is the best that counts. */
	CU_ASSERT(took[0] <= 50 * CLOCK_NS_PER_MS);
}

static unsigned count_descriptors(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static pid_t parent_of(pid_t pid)
{
	char path[64];
	int parent = 0;

	(void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	FILE *stat = fopen(path, "re");
	CU_ASSERT_PTR_NOT_NULL_FATAL(stat);
	CU_ASSERT_EQUAL(fscanf(stat, "%*d (%*[^)]) %*c %d", &parent), 1);
	(void)fclose(stat);
	return parent;
}

/* The groups of one spawner's workers, by the name that they have: tenon-<spawner>-<worker>. Other
 * tests have spawners of their own. */
static unsigned count_groups(pid_t spawner)
{
	glob_t found;
	unsigned n = 0;
	char pattern[64];

	(void)snprintf(pattern, sizeof pattern, "/sys/fs/cgroup/*/tenon-%d-*", (int)spawner);
	if (glob(pattern, 0, NULL, &found) == 0)
		n = (unsigned)found.gl_pathc;
	globfree(&found);
	return n;
}

static void a_running_worker_costs_one_descriptor_and_an_ended_one_nothing(void)
{
	struct life life = { .stop_on_start = true };
	unsigned n_fds = count_descriptors();

	CU_ASSERT_FATAL(begin(&life, JAIL_WAIT, 0, PLAIN_REQUEST));
	run_for(5000);
	/* Its pidfd; the segment and the pipe's end are the test's own. */
	CU_ASSERT_EQUAL(count_descriptors(), n_fds + 3);
	pid_t spawner = parent_of(life.pid);
	unsigned n_groups = count_groups(spawner);
	if (core.report.layers & SANDBOX_BIT(SANDBOX_CGROUP))
		CU_ASSERT(n_groups > 0);
	spawn_kill(life.child);
	run_for(5000);
	finish(&life);
	unmap(&life);
	for (int i = 0; i < 20; i++) {
		life = live(JAIL_SYSCALL, SYS_kill, PLAIN_REQUEST);
		unmap(&life);
	}
	CU_ASSERT_EQUAL(count_descriptors(), n_fds);
	CU_ASSERT_EQUAL(count_groups(spawner), 0);
}

/* ---- set-up ---- */

static const struct unit_test tests[] = {
	UNIT(the_machine_is_fit_to_hold_a_worker),
	UNIT(a_chroot_is_told_from_a_whole_system),
	UNIT(the_canary_is_refused_55_times_of_55),
	UNIT(the_canary_dies_at_its_first_attempt_in_any_other_worker),
	UNIT(a_refused_call_kills_and_root_learns_its_number),
	UNIT(the_32_bit_door_is_closed),
	UNIT(only_standard_descriptors_and_eventfds_are_open),
	UNIT(a_memory_hog_dies_alone),
	UNIT(an_endless_loop_ends_with_its_processor_seconds),
	UNIT(crashes_are_told_apart),
	UNIT(a_kill_reaches_a_worker_in_every_state),
	UNIT(workers_die_with_the_spawner_and_it_comes_back),
	UNIT(a_worker_starts_within_milliseconds),
	UNIT(a_running_worker_costs_one_descriptor_and_an_ended_one_nothing),
};

static int sealed_copy(const char *path)
{
	struct stat status;
	int from = open(path, O_RDONLY | O_CLOEXEC);
	int to = memfd_create("plugin", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (from < 0 || to < 0 || fstat(from, &status) ||
		sendfile(to, from, NULL, (size_t)status.st_size) != status.st_size ||
		fcntl(to, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		return -1;
	(void)close(from);
	return to;
}

static bool give_up_root(void)
{
	return setgroups(0, NULL) == 0 &&
	       setresgid(ORDINARY_USER, ORDINARY_USER, ORDINARY_USER) == 0 &&
	       setresuid(ORDINARY_USER, ORDINARY_USER, ORDINARY_USER) == 0 &&
	       prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0;
}

/* The same system seen through another root; this process's mounts alone. */
static bool enter_chroot(void)
{
	return unshare(CLONE_NEWNS) == 0 &&
	       mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("/", "/mnt", NULL, MS_BIND | MS_REC, NULL) == 0 && chroot("/mnt") == 0 &&
	       chdir("/") == 0;
}

static bool become(const char *who)
{
	if (strcmp(who, "user") == 0 && geteuid() == 0)
		return give_up_root();
	return strcmp(who, "chroot") != 0 || enter_chroot();
}

int main(int argc, char **argv)
{
	const char *bin = getenv("ISOLATE_BIN"), *plugin = getenv("ISOLATE_PLUGIN");
	struct err err = { 0 };

	if (!bin || !plugin) {
		(void)fprintf(stderr, "set ISOLATE_BIN and ISOLATE_PLUGIN\n");
		return 2;
	}
	core.plugin_fd = sealed_copy(plugin);
	core.eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (core.plugin_fd < 0 || core.eventfd < 0 || (argc > 1 && !become(argv[1]))) {
		perror("set-up");
		return 2;
	}
	core.is_chroot = argc > 1 && strcmp(argv[1], "chroot") == 0;
	(void)snprintf(core.spawner, sizeof core.spawner, "%s/tenon-spawn", bin);
	(void)snprintf(core.worker, sizeof core.worker, "%s/test_isolate_worker", bin);
	struct spawn_config config = {
		.spawner_path = core.spawner,
		.worker_path = core.worker,
		.allow_missing = SANDBOX_BIT(SANDBOX_CGROUP) | SANDBOX_BIT(SANDBOX_USER_NS),
		.on_ready = on_ready,
		.on_down = on_down,
	};
	if (loop_new(0, &core.loop, &err) || spawn_open(core.loop, &config, &core.spawn, &err)) {
		(void)fprintf(stderr, "set-up: %s\n", err.message);
		return 2;
	}
	run_for(5000);
	if (!core.n_ready) {
		(void)fprintf(stderr, "set-up: the spawner did not come up\n");
		return 2;
	}
	int status = unit_run("isolate", tests, sizeof tests / sizeof tests[0]);
	spawn_close(core.spawn);
	loop_free(core.loop);
	return status;
}
