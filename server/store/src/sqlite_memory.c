/*
 * sqlite_memory.c - the driver's memory, with a budget for foreign SQL
 *
 * The library's own heap limit counts for the whole process under one lock that every allocation of
 * every loop would take, and one tenant's sort would use up what another needs. Instead the
 * allocator below counts per thread, and only while a foreign statement runs on it.
 */
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>

#include "sqlite_conn.h"

/* The one exception to "no mutable globals": what this thread's foreign statement may still take.
 * The library's allocator interface has no argument that could carry it. */
static _Thread_local size_t budget_left;
static _Thread_local bool has_budget;

void memory_set_budget(size_t bytes)
{
	budget_left = bytes;
	has_budget = bytes > 0;
}

size_t memory_budget_left(void)
{
	return budget_left ? budget_left : 1;
}

static bool charge(size_t n)
{
	if (!has_budget)
		return true;
	if (n > budget_left)
		return false;
	budget_left -= n;
	return true;
}

static void give_back(size_t n)
{
	if (has_budget)
		budget_left += n;
}

static void *mem_malloc(int n)
{
	if (!charge((size_t)n))
		return NULL;
	return malloc((size_t)n);
}

static void mem_free(void *p)
{
	give_back(malloc_usable_size(p));
	free(p);
}

static void *mem_realloc(void *p, int n)
{
	size_t old = malloc_usable_size(p);
	if ((size_t)n > old && !charge((size_t)n - old))
		return NULL;
	return realloc(p, (size_t)n);
}

static int mem_size(void *p)
{
	return p ? (int)malloc_usable_size(p) : 0;
}

/* A text that grows near its limit grows by single characters: whole pages keep that from being a
 * copy each time. */
static int mem_roundup(int n)
{
	int unit = n < 32768 ? 8 : 4096;
	return (n + unit - 1) & ~(unit - 1);
}

static int mem_init(void *unused)
{
	(void)unused;
	return SQLITE_OK;
}

static void mem_shutdown(void *unused)
{
	(void)unused;
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int once_rc; /* written by the once function alone */

static void configure(void)
{
	static const sqlite3_mem_methods methods = { .xMalloc = mem_malloc,
		.xFree = mem_free,
		.xRealloc = mem_realloc,
		.xSize = mem_size,
		.xRoundup = mem_roundup,
		.xInit = mem_init,
		.xShutdown = mem_shutdown };

	/* A connection is used by one thread at a time, so it needs no lock of its own; no memory
	 * statistics, since they take a process-wide lock; no page cache allotted before it is
	 * used, since most of 10,000 open tenants use a few pages. */
	int rc = sqlite3_config(SQLITE_CONFIG_MULTITHREAD);
	if (rc == SQLITE_OK)
		rc = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	if (rc == SQLITE_OK)
		rc = sqlite3_config(SQLITE_CONFIG_MALLOC, &methods);
	if (rc == SQLITE_OK)
		rc = sqlite3_config(SQLITE_CONFIG_PAGECACHE, NULL, 0, 0);
	if (rc == SQLITE_OK)
		rc = sqlite3_initialize();
	once_rc = rc;
}

int memory_init(struct err *err)
{
	pthread_once(&once, configure);
	if (once_rc != SQLITE_OK)
		return ERR_SET(
			err, ERR_STATE, "sqlite cannot be set up: %s", sqlite3_errstr(once_rc));
	return 0;
}
