#include "loop.h"
#include "spawner.h"
#include "unit.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/*
 * The spawner's place is taken by programs that every system has: one that ends at once, and a
 * shell that speaks nonsense. What a real spawner does is the isolate integration test's story.
 */
#define ENDS_AT_ONCE "/bin/true"

static struct {
	struct loop *loop;
	struct loop_timer timeout;
	unsigned retries[8], n_retries, stop_after, n_exits;
	enum spawn_end last_end;
} world;

static void timeout_fires(struct loop_timer *timer)
{
	(void)timer;
	loop_stop(world.loop);
}

static void run_for(unsigned ms)
{
	world.timeout.on_fire = timeout_fires;
	(void)loop_timer_start(
		world.loop, &world.timeout, clock_mono_ns() + ms * CLOCK_NS_PER_MS, NULL);
	(void)loop_run(world.loop, NULL);
	loop_timer_stop(&world.timeout);
}

static void on_down(void *context, unsigned retry_ms)
{
	(void)context;
	if (world.n_retries < 8)
		world.retries[world.n_retries++] = retry_ms;
	if (world.n_retries >= world.stop_after)
		loop_stop(world.loop);
}

static void on_exit_of(void *context, struct spawn_child *child, const struct spawn_exit *exit)
{
	(void)context;
	(void)child;
	world.n_exits++;
	world.last_end = exit->end;
}

static struct spawn *open_spawn(const char *spawner, const char *worker, unsigned stop_after)
{
	const struct spawn_config config = {
		.spawner_path = spawner, .worker_path = worker, .on_down = on_down
	};
	struct spawn *spawn = NULL;

	memset(&world, 0, sizeof world);
	world.stop_after = stop_after;
	CU_ASSERT_EQUAL_FATAL(loop_new(0, &world.loop, NULL), 0);
	if (spawn_open(world.loop, &config, &spawn, NULL))
		return NULL;
	return spawn;
}

static void close_all(struct spawn *spawn)
{
	spawn_close(spawn);
	loop_free(world.loop);
}

static unsigned count_descriptors(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static int start_one(struct spawn *spawn, struct spawn_child **ret, struct err *err)
{
	const int nothing = STDIN_FILENO;
	const struct spawn_request request = { .plugin_fd = nothing,
		.segment_fd = nothing,
		.stdio_fd = nothing,
		.eventfds = &nothing,
		.n_eventfds = 1,
		.on_exit = on_exit_of };

	return spawn_start(spawn, &request, ret, err);
}

static void a_program_that_is_not_there_is_an_error(void)
{
	struct spawn *spawn = open_spawn("/nowhere/tenon-spawn", "/nowhere/tenon-worker", 1);

	CU_ASSERT_PTR_NULL(spawn);
	close_all(spawn);
}

static void a_spawner_that_ends_at_once_is_tried_again_more_and_more_slowly(void)
{
	struct spawn *spawn = open_spawn(ENDS_AT_ONCE, "worker", 4);

	CU_ASSERT_PTR_NOT_NULL_FATAL(spawn);
	run_for(5000);
	CU_ASSERT_EQUAL_FATAL(world.n_retries, 4);
	CU_ASSERT_EQUAL(world.retries[0], 0);
	CU_ASSERT_EQUAL(world.retries[1], 100);
	CU_ASSERT_EQUAL(world.retries[2], 200);
	CU_ASSERT_EQUAL(world.retries[3], 400);
	CU_ASSERT_PTR_NULL(spawn_report(spawn));
	close_all(spawn);
}

static void nonsense_from_the_spawner_ends_it(void)
{
	char path[] = "/tmp/test_spawn.XXXXXX";
	static const char script[] = "printf nonsense >&3; exec sleep 60";
	int fd = mkstemp(path);

	CU_ASSERT_FATAL(fd >= 0 && write(fd, script, sizeof script - 1) > 0);
	(void)close(fd);
	struct spawn *spawn = open_spawn("/bin/sh", path, 1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(spawn);
	uint64_t begin_ns = clock_mono_ns();
	run_for(5000);
	CU_ASSERT_EQUAL(world.n_retries, 1);
	CU_ASSERT(clock_mono_ns() - begin_ns < 4 * CLOCK_NS_PER_S);
	close_all(spawn);
	(void)unlink(path);
}

static void requests_wait_for_the_spawner_up_to_a_limit_and_end_once(void)
{
	struct spawn *spawn = open_spawn(ENDS_AT_ONCE, "worker", 99);
	struct spawn_child *children[SPAWN_PENDING], *refused = NULL;
	struct err err = { 0 };
	unsigned n_fds = count_descriptors();

	CU_ASSERT_PTR_NOT_NULL_FATAL(spawn);
	for (size_t i = 0; i < SPAWN_PENDING; i++)
		CU_ASSERT_EQUAL_FATAL(start_one(spawn, &children[i], NULL), 0);
	CU_ASSERT_EQUAL(start_one(spawn, &refused, &err), -1);
	CU_ASSERT_EQUAL(err.code, ERR_LIMIT);
	for (size_t i = 0; i < SPAWN_PENDING / 2; i++)
		spawn_kill(children[i]);
	/* Not from within spawn_kill(): the caller may be in the middle of something. */
	CU_ASSERT_EQUAL(world.n_exits, 0);
	run_for(50);
	CU_ASSERT_EQUAL(world.n_exits, SPAWN_PENDING / 2);
	CU_ASSERT_EQUAL(world.last_end, SPAWN_FAILED);
	CU_ASSERT_EQUAL(start_one(spawn, &refused, NULL), 0);
	close_all(spawn);
	/* Those left were never called back. */
	CU_ASSERT_EQUAL(world.n_exits, SPAWN_PENDING / 2);
	CU_ASSERT(count_descriptors() < n_fds);
}

static const struct unit_test tests[] = {
	UNIT(a_program_that_is_not_there_is_an_error),
	UNIT(a_spawner_that_ends_at_once_is_tried_again_more_and_more_slowly),
	UNIT(nonsense_from_the_spawner_ends_it),
	UNIT(requests_wait_for_the_spawner_up_to_a_limit_and_end_once),
};

UNIT_MAIN("spawn", tests)
