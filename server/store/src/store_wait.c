#include "store_wait.h"

#include <errno.h>
#include <semaphore.h>

/* The semaphore is found through the job's address: done gets nothing else, and the job's own
 * members are its owner's. */
struct wait {
	struct store_job job;
	struct store_job *asked;
	sem_t is_done;
};

static enum store_outcome run_asked(struct store_job *job, struct store_conn *conn)
{
	struct wait *wait = (struct wait *)job;

	return wait->asked->run(wait->asked, conn);
}

static void wake(struct store_job *job)
{
	(void)sem_post(&((struct wait *)job)->is_done);
}

static enum store_outcome submit_and_wait(struct store *store, struct store_job *job,
	void (*submit)(struct store *, struct store_job *))
{
	struct wait wait = { .job = { .run = run_asked,
				     .done = wake,
				     .alone = job->alone,
				     .deadline_ns = job->deadline_ns },
		.asked = job };

	(void)sem_init(&wait.is_done, 0, 0);
	submit(store, &wait.job);
	while (sem_wait(&wait.is_done) < 0 && errno == EINTR)
		;
	(void)sem_destroy(&wait.is_done);
	job->outcome = wait.job.outcome;
	job->conflict = wait.job.conflict;
	if (wait.job.err.code != ERR_NONE)
		job->err = wait.job.err;
	return job->outcome;
}

enum store_outcome store_write_and_wait(struct store *store, struct store_job *job)
{
	return submit_and_wait(store, job, store_write);
}

enum store_outcome store_read_and_wait(struct store *store, struct store_job *job)
{
	return submit_and_wait(store, job, store_read);
}
