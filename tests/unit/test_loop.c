#include "executor.h"
#include "loop.h"
#include "unit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define N_POSTERS  4
#define N_MESSAGES 5000

/* ---- mailbox ---- */
struct counted_message {
	struct loop_message message; /* first */
	struct loop *loop;
	unsigned poster, number;
	struct tally *tally;
};

struct tally {
	unsigned next[N_POSTERS], total;
	bool in_order, on_loop;
};

static void count(struct loop_message *message)
{
	struct counted_message *m = (struct counted_message *)message;
	struct tally *tally = m->tally;

	if (tally->next[m->poster]++ != m->number)
		tally->in_order = false;
	if (!loop_is_current(m->loop))
		tally->on_loop = false;
	if (++tally->total == N_POSTERS * N_MESSAGES)
		loop_stop(m->loop);
	free(m);
}

struct poster {
	pthread_t thread;
	struct loop *loop;
	struct tally *tally;
	unsigned number;
};

static void *post_many(void *argument)
{
	struct poster *poster = argument;

	for (unsigned i = 0; i < N_MESSAGES; i++) {
		struct counted_message *m = malloc(sizeof *m);

		*m = (struct counted_message){ { .deliver = count }, poster->loop, poster->number,
			i, poster->tally };
		loop_post(poster->loop, &m->message);
		if (i % 512 == 0)
			usleep(200); /* so that the loop falls asleep now and then */
	}
	return NULL;
}

static void *run_loop(void *loop)
{
	loop_run(loop, NULL);
	return NULL;
}

static void messages_of_many_threads_all_arrive_in_each_ones_order(void)
{
	DEFER(loop_free) struct loop *loop = NULL;
	struct poster posters[N_POSTERS];
	struct tally tally = { .in_order = true, .on_loop = true };

	CU_ASSERT_EQUAL_FATAL(loop_new(3, &loop, NULL), 0);
	CU_ASSERT_EQUAL(loop_index(loop), 3);
	for (unsigned i = 0; i < N_POSTERS; i++) {
		posters[i] = (struct poster){ .loop = loop, .tally = &tally, .number = i };
		pthread_create(&posters[i].thread, NULL, post_many, &posters[i]);
	}
	CU_ASSERT_EQUAL(loop_run(loop, NULL), 0);
	for (unsigned i = 0; i < N_POSTERS; i++)
		pthread_join(posters[i].thread, NULL);
	CU_ASSERT_EQUAL(tally.total, N_POSTERS * N_MESSAGES);
	CU_ASSERT(tally.in_order && tally.on_loop);
	CU_ASSERT(!loop_is_current(loop));
}

struct ping {
	struct loop_message message; /* first */
	struct loop *to;
	struct ping *other;
	unsigned left;
	bool last;
};

static void pong(struct loop_message *message)
{
	struct ping *ping = (struct ping *)message;

	if (ping->left-- == 0) {
		loop_stop(ping->to);
		loop_stop(ping->other->to);
		return;
	}
	ping->other->left = ping->left;
	loop_post(ping->other->to, &ping->other->message);
}

static void two_loops_that_sleep_wake_each_other_every_time(void)
{
	DEFER(loop_free) struct loop *a = NULL, *b = NULL;
	pthread_t thread;

	CU_ASSERT_EQUAL_FATAL(loop_new(0, &a, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(loop_new(1, &b, NULL), 0);
	struct ping to_a = { { .deliver = pong }, .to = a },
		    to_b = { { .deliver = pong }, .to = b };

	to_a.other = &to_b;
	to_b.other = &to_a;
	to_a.left = 20000;
	loop_post(a, &to_a.message);
	pthread_create(&thread, NULL, run_loop, b);
	CU_ASSERT_EQUAL(loop_run(a, NULL), 0); /* a lost wake-up hangs here: the test times out */
	pthread_join(thread, NULL);
}

static void note(struct loop_message *message)
{
	((struct counted_message *)message)->tally->total++;
}

static void messages_left_in_the_box_are_delivered_by_free(void)
{
	struct loop *loop = NULL;
	struct tally tally = { 0 };

	CU_ASSERT_EQUAL_FATAL(loop_new(0, &loop, NULL), 0);
	struct counted_message m = { { .deliver = note }, loop, 0, 0, &tally };

	loop_post(loop, &m.message);
	loop_free(loop);
	CU_ASSERT_EQUAL(tally.total, 1);
}

/* ---- timers ---- */
struct fired {
	struct loop_timer timer; /* first */
	struct loop *loop;
	struct log {
		uint64_t deadlines[600];
		unsigned n, n_early;
	} * log;
	struct fired *stops;
	bool is_last;
};

static void on_fire(struct loop_timer *timer)
{
	struct fired *fired = (struct fired *)timer;

	if (loop_timer_is_running(timer) || clock_mono_ns() < timer->deadline_ns)
		fired->log->n_early++;
	fired->log->deadlines[fired->log->n++] = timer->deadline_ns;
	if (fired->stops)
		loop_timer_stop(&fired->stops->timer);
	if (fired->is_last)
		loop_stop(fired->loop);
}

struct parting {
	struct loop_timer timer;     /* first */
	struct loop_message message; /* posted just before the stop */
	struct loop *loop;
	bool is_delivered;
};

static void on_parting(struct loop_message *message)
{
	struct parting *parting =
		(struct parting *)((char *)message - offsetof(struct parting, message));

	parting->is_delivered = true;
}

static void post_and_stop(struct loop_timer *timer)
{
	struct parting *parting = (struct parting *)timer;

	loop_post(parting->loop, &parting->message);
	loop_stop(parting->loop);
}

static void what_was_posted_before_the_stop_is_delivered_before_run_returns(void)
{
	DEFER(loop_free) struct loop *loop = NULL;
	struct parting parting = { .timer.on_fire = post_and_stop, .message.deliver = on_parting };

	CU_ASSERT_EQUAL_FATAL(loop_new(0, &loop, NULL), 0);
	parting.loop = loop;
	CU_ASSERT_EQUAL(loop_timer_start(loop, &parting.timer, clock_mono_ns(), NULL), 0);
	CU_ASSERT_EQUAL(loop_run(loop, NULL), 0);
	CU_ASSERT(parting.is_delivered);
}

static void timers_fire_in_order_of_their_deadlines_and_never_early(void)
{
	enum { N = 500 };
	DEFER(loop_free) struct loop *loop = NULL;
	static struct fired timers[N];
	struct log log = { .n = 0 };
	unsigned seed = 7, stopped = 0;
	bool sorted = true;

	CU_ASSERT_EQUAL_FATAL(loop_new(0, &loop, NULL), 0);
	uint64_t now = clock_mono_ns();

	for (int i = 0; i < N; i++) {
		timers[i] = (struct fired){ { .on_fire = on_fire }, loop, &log, NULL, false };
		CU_ASSERT_EQUAL(loop_timer_start(loop, &timers[i].timer,
					now + (uint64_t)(rand_r(&seed) % 30000) * 1000, NULL),
			0);
	}
	for (int i = 0; i < N; i += 3) /* moved to and fro */
		loop_timer_start(loop, &timers[i].timer,
			now + (uint64_t)(rand_r(&seed) % 30000) * 1000, NULL);
	for (int i = 0; i < N; i += 7) {
		loop_timer_stop(&timers[i].timer);
		loop_timer_stop(&timers[i].timer);
		stopped++;
	}
	struct fired last = { { .on_fire = on_fire }, loop, &log, NULL, true };

	loop_timer_start(loop, &last.timer, now + 40 * CLOCK_NS_PER_MS, NULL);
	CU_ASSERT_EQUAL(loop_run(loop, NULL), 0);
	for (unsigned i = 1; i < log.n; i++)
		sorted = sorted && log.deadlines[i - 1] <= log.deadlines[i];
	CU_ASSERT(sorted);
	CU_ASSERT_EQUAL(log.n, N - stopped + 1);
	CU_ASSERT_EQUAL(log.n_early, 0);
}

static void a_timer_may_stop_another_that_is_due_as_well(void)
{
	DEFER(loop_free) struct loop *loop = NULL;
	struct log log = { .n = 0 };

	CU_ASSERT_EQUAL_FATAL(loop_new(0, &loop, NULL), 0);
	struct fired second = { { .on_fire = on_fire }, loop, &log, NULL, false };
	struct fired first = { { .on_fire = on_fire }, loop, &log, &second, true };

	loop_timer_start(loop, &second.timer, 2, NULL);
	loop_timer_start(loop, &first.timer, 1, NULL);
	CU_ASSERT_EQUAL(loop_run(loop, NULL), 0);
	CU_ASSERT_EQUAL(log.n, 1);
	loop_timer_start(loop, &first.timer, CLOCK_NEVER, NULL);
	CU_ASSERT(!loop_timer_is_running(&first.timer));
}

/* ---- descriptors and hooks ---- */
struct peer {
	struct loop_watch watch; /* first */
	struct peer *other;
	struct loop *loop;
	unsigned n_calls;
};

static void remove_other(struct loop_watch *watch, uint32_t events)
{
	struct peer *peer = (struct peer *)watch;

	peer->n_calls += events & EPOLLIN ? 1 : 0;
	loop_watch_remove(&peer->other->watch);
	loop_watch_remove(watch);
	loop_watch_remove(watch);
	loop_stop(peer->loop);
}

static void a_watch_removed_by_another_of_the_same_batch_is_not_called(void)
{
	DEFER(loop_free) struct loop *loop = NULL;
	int a[2], b[2];

	CU_ASSERT_EQUAL_FATAL(loop_new(0, &loop, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM, 0, a), 0);
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM, 0, b), 0);
	struct peer first = { { .fd = a[0], .on_ready = remove_other }, NULL, loop, 0 };
	struct peer second = { { .fd = b[0], .on_ready = remove_other }, &first, loop, 0 };

	first.other = &second;
	CU_ASSERT_EQUAL(loop_watch_add(loop, &first.watch, EPOLLIN, NULL), 0);
	CU_ASSERT_EQUAL(loop_watch_add(loop, &second.watch, EPOLLOUT, NULL), 0);
	CU_ASSERT_EQUAL(loop_watch_change(&second.watch, EPOLLIN, NULL), 0);
	CU_ASSERT_EQUAL(write(a[1], "x", 1) + write(b[1], "x", 1), 2);
	CU_ASSERT_EQUAL(loop_run(loop, NULL), 0);
	CU_ASSERT_EQUAL(first.n_calls + second.n_calls, 1);
	for (int i = 0; i < 2; i++) {
		close(a[i]);
		close(b[i]);
	}
}

struct worker_hook {
	struct loop_hook hook; /* first */
	struct worker_hook *feeds;
	struct loop *loop;
	unsigned n_runs;
};

static int run_hook(struct loop_hook *hook)
{
	struct worker_hook *w = (struct worker_hook *)hook;

	w->n_runs++;
	if (w->feeds && w->n_runs == 1)
		w->feeds->hook.requested = true;
	if (!w->feeds && w->n_runs == 2)
		loop_stop(w->loop);
	return w->feeds ? -1 : 30000;
}

static void a_requested_hook_runs_again_before_the_loop_sleeps(void)
{
	DEFER(loop_free) struct loop *loop = NULL;

	CU_ASSERT_EQUAL_FATAL(loop_new(0, &loop, NULL), 0);
	struct worker_hook consumer = { { .run = run_hook }, NULL, loop, 0 };
	struct worker_hook producer = { { .run = run_hook }, &consumer, loop, 0 };
	uint64_t began = clock_mono_ns();

	loop_hook_add(loop, &consumer.hook);
	loop_hook_add(loop, &producer.hook);
	CU_ASSERT_EQUAL(loop_run(loop, NULL), 0);
	CU_ASSERT(clock_mono_ns() - began < 20 * CLOCK_NS_PER_S);
	CU_ASSERT_EQUAL(consumer.n_runs, 2);
	loop_hook_remove(loop, &producer.hook);
	loop_hook_remove(loop, &consumer.hook);
}

static int sleepy_hook(struct loop_hook *hook)
{
	struct worker_hook *w = (struct worker_hook *)hook;

	if (w->n_runs++ == 0)
		usleep(20000);
	else
		loop_stop(w->loop);
	return 1;
}

static void the_longest_stall_is_measured_and_taken_once(void)
{
	DEFER(loop_free) struct loop *loop = NULL;

	CU_ASSERT_EQUAL_FATAL(loop_new(0, &loop, NULL), 0);
	struct worker_hook w = { { .run = sleepy_hook }, NULL, loop, 0 };

	loop_hook_add(loop, &w.hook);
	CU_ASSERT_EQUAL(loop_run(loop, NULL), 0);
	CU_ASSERT(loop_take_longest_stall_ns(loop) >= 20 * CLOCK_NS_PER_MS);
	CU_ASSERT_EQUAL(loop_take_longest_stall_ns(loop), 0);
}

/* ---- executor ---- */
struct counted_job {
	struct executor_job job; /* first */
	atomic_uint *n;
	atomic_bool *may_go;
	unsigned number;
};

static void run_counted(struct executor_job *job)
{
	struct counted_job *counted = (struct counted_job *)job;

	while (counted->may_go && !atomic_load(counted->may_go))
		usleep(100);
	atomic_fetch_add(counted->n, 1);
	free(counted);
}

static struct counted_job *new_job(atomic_uint *n, atomic_bool *may_go, unsigned number)
{
	struct counted_job *job = malloc(sizeof *job);

	*job = (struct counted_job){ { .run = run_counted }, n, may_go, number };
	return job;
}

static const struct executor_config small = {
	.n_threads = { 2, 1, 0 },
	.queue_limit = { 1000000, 2, 5 },
};

struct submitter {
	pthread_t thread;
	struct executor *executor;
	struct executor_serial *serial;
	atomic_uint *n;
	unsigned number;
};

static void *submit_many(void *argument)
{
	struct submitter *s = argument;

	for (unsigned i = 0; i < N_MESSAGES; i++) {
		struct counted_job *job = new_job(s->n, NULL, s->number * N_MESSAGES + i);
		enum executor_result result =
			s->serial ? executor_serial_submit(s->serial, &job->job)
				  : executor_submit(s->executor, EXECUTOR_READ, &job->job);

		if (result != EXECUTOR_OK)
			free(job);
	}
	return NULL;
}

static void jobs_of_many_threads_all_run_before_free_returns(void)
{
	struct executor *executor = NULL;
	struct submitter submitters[N_POSTERS];
	atomic_uint n = 0;

	CU_ASSERT_EQUAL_FATAL(executor_new(&small, &executor, NULL), 0);
	for (unsigned i = 0; i < N_POSTERS; i++) {
		submitters[i] = (struct submitter){ .executor = executor, .n = &n, .number = i };
		pthread_create(&submitters[i].thread, NULL, submit_many, &submitters[i]);
	}
	for (unsigned i = 0; i < N_POSTERS; i++)
		pthread_join(submitters[i].thread, NULL);
	executor_free(executor);
	CU_ASSERT_EQUAL(n, N_POSTERS * N_MESSAGES);
}

static void a_full_lane_refuses_and_takes_nothing(void)
{
	struct executor *executor = NULL;
	atomic_uint n = 0;
	atomic_bool may_go = false;
	struct counted_job *refused = new_job(&n, NULL, 0);

	CU_ASSERT_EQUAL_FATAL(executor_new(&small, &executor, NULL), 0);
	CU_ASSERT_EQUAL(executor_submit(executor, EXECUTOR_PASSWORD, &refused->job), EXECUTOR_FULL);
	CU_ASSERT_EQUAL(executor_submit(executor, EXECUTOR_FILE, &new_job(&n, &may_go, 0)->job),
		EXECUTOR_OK);
	/* The limit counts what waits: let the thread take the first one. */
	for (int i = 0;
		i < 1000 && executor_submit(executor, EXECUTOR_FILE, &refused->job) == EXECUTOR_OK;
		i++)
		refused = new_job(&n, NULL, 0);
	unsigned load = executor_load(executor, EXECUTOR_FILE);

	CU_ASSERT(load == 2 || load == 3);
	CU_ASSERT_EQUAL(executor_load(executor, EXECUTOR_READ), 0);
	atomic_store(&may_go, true);
	executor_free(executor);
	CU_ASSERT_EQUAL(n, load);
	free(refused);
}

struct batches {
	unsigned next[N_POSTERS], total, longest;
	atomic_int n_running;
	bool in_order, alone;
};

static void run_batch(void *context, struct executor_job *jobs)
{
	struct batches *batches = context;
	unsigned n = 0;

	if (atomic_fetch_add(&batches->n_running, 1) != 0)
		batches->alone = false;
	while (jobs) {
		struct counted_job *job = (struct counted_job *)jobs;

		jobs = jobs->next;
		if (batches->next[job->number / N_MESSAGES]++ != job->number % N_MESSAGES)
			batches->in_order = false;
		batches->total++;
		n++;
		free(job);
	}
	if (n > batches->longest)
		batches->longest = n;
	atomic_fetch_sub(&batches->n_running, 1);
}

static void a_serial_queue_runs_in_order_and_one_batch_at_a_time(void)
{
	DEFER(executor_free) struct executor *executor = NULL;
	struct executor_serial *serial = NULL;
	struct submitter submitters[N_POSTERS];
	struct batches batches = { .in_order = true, .alone = true };

	CU_ASSERT_EQUAL_FATAL(executor_new(&small, &executor, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(executor_serial_new(executor, EXECUTOR_READ, N_POSTERS * N_MESSAGES,
				      64, run_batch, &batches, &serial, NULL),
		0);
	for (unsigned i = 0; i < N_POSTERS; i++) {
		submitters[i] = (struct submitter){ .serial = serial, .number = i };
		pthread_create(&submitters[i].thread, NULL, submit_many, &submitters[i]);
	}
	for (unsigned i = 0; i < N_POSTERS; i++)
		pthread_join(submitters[i].thread, NULL);
	executor_serial_free(serial);
	CU_ASSERT_EQUAL(batches.total, N_POSTERS * N_MESSAGES);
	CU_ASSERT(batches.in_order);
	CU_ASSERT(batches.alone);
	CU_ASSERT(batches.longest > 0 && batches.longest <= 64);
}

static void wait_for_go(void *context, struct executor_job *jobs)
{
	while (!atomic_load((atomic_bool *)context))
		usleep(100);
	while (jobs) {
		struct executor_job *next = jobs->next;

		free(jobs);
		jobs = next;
	}
}

static void a_full_serial_queue_refuses(void)
{
	DEFER(executor_free) struct executor *executor = NULL;
	struct executor_serial *serial = NULL;
	atomic_bool may_go = false;
	struct counted_job *job = new_job(NULL, NULL, 0);
	unsigned accepted = 0;

	CU_ASSERT_EQUAL_FATAL(executor_new(&small, &executor, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(executor_serial_new(executor, EXECUTOR_READ, 3, 8, wait_for_go,
				      &may_go, &serial, NULL),
		0);
	while (accepted < 100 && executor_serial_submit(serial, &job->job) == EXECUTOR_OK) {
		job = new_job(NULL, NULL, 0);
		accepted++;
	}
	CU_ASSERT(accepted >= 3 && accepted <= 6);
	CU_ASSERT_EQUAL(executor_serial_load(serial), 3);
	atomic_store(&may_go, true);
	executor_serial_free(serial);
	free(job);
}

static const struct unit_test tests[] = {
	UNIT(messages_of_many_threads_all_arrive_in_each_ones_order),
	UNIT(two_loops_that_sleep_wake_each_other_every_time),
	UNIT(messages_left_in_the_box_are_delivered_by_free),
	UNIT(what_was_posted_before_the_stop_is_delivered_before_run_returns),
	UNIT(timers_fire_in_order_of_their_deadlines_and_never_early),
	UNIT(a_timer_may_stop_another_that_is_due_as_well),
	UNIT(a_watch_removed_by_another_of_the_same_batch_is_not_called),
	UNIT(a_requested_hook_runs_again_before_the_loop_sleeps),
	UNIT(the_longest_stall_is_measured_and_taken_once),
	UNIT(jobs_of_many_threads_all_run_before_free_returns),
	UNIT(a_full_lane_refuses_and_takes_nothing),
	UNIT(a_serial_queue_runs_in_order_and_one_batch_at_a_time),
	UNIT(a_full_serial_queue_refuses),
};

UNIT_MAIN("loop", tests)
