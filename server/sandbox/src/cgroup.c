#include "sandbox_cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bytes.h"

#define NAME_PREFIX "tenon-"

/* /proc/self/cgroup and mountinfo: a host with thousands of mounts stays far below. */
#define TABLE_BYTES (1u << 20)

static const char *const controller_names[SANDBOX_CONTROLLERS] = {
	[SANDBOX_MEMORY] = "memory",
	[SANDBOX_PIDS] = "pids",
	[SANDBOX_CPU] = "cpu",
};

static bool read_table(const char *path, struct bytes_buf *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool is_done = false;
	while (fd >= 0 && !is_done) {
		char *to = bytes_buf_reserve(out, 4096);
		ssize_t n = to ? read(fd, to, 4096) : -1;
		if (n < 0)
			break;
		out->n += (size_t)n;
		is_done = n == 0;
	}
	if (fd >= 0)
		(void)close(fd);
	return is_done;
}

/* Cuts the next piece, up to a separator or the end, off the front of *rest. */
static struct bytes next_piece(struct bytes *rest, char separator)
{
	const char *end = rest->n ? memchr(rest->p, separator, rest->n) : NULL;
	size_t n = end ? (size_t)(end - rest->p) : rest->n;
	struct bytes piece = { rest->p, n };
	*rest = (struct bytes){ rest->p + n + (end != NULL), rest->n - n - (end != NULL) };
	return piece;
}

static bool list_has(struct bytes list, const char *word)
{
	while (list.n)
		if (bytes_eq_string(next_piece(&list, ','), word))
			return true;
	return false;
}

/* The caller's own group in the hierarchy of a controller (NULL: version 2), from lines of
 * "number:controllers:path". */
static bool own_path(struct bytes table, const char *controller, struct bytes *ret)
{
	while (table.n) {
		struct bytes line = next_piece(&table, '\n');
		struct bytes number = next_piece(&line, ':');
		struct bytes controllers = next_piece(&line, ':');
		bool is_it = controller ? list_has(controllers, controller)
					: bytes_eq_string(number, "0") && controllers.n == 0;
		if (is_it) {
			*ret = line;
			return true;
		}
	}
	return false;
}

/* Opens the folder of the caller's own group, for which a line of mountinfo must show the
 * hierarchy: "36 35 98:0 /sub /mount/point options ... - type source super,options". */
static int open_own(struct bytes mounts, struct bytes own, const char *controller)
{
	while (mounts.n) {
		struct bytes line = next_piece(&mounts, '\n');
		struct bytes field[5], tail = line, word = { NULL, 0 };
		for (size_t i = 0; i < 5; i++)
			field[i] = next_piece(&tail, ' ');
		while (tail.n && !bytes_eq_string(word, "-"))
			word = next_piece(&tail, ' ');
		struct bytes type = next_piece(&tail, ' ');
		(void)next_piece(&tail, ' ');
		if (!bytes_eq_string(type, controller ? "cgroup" : "cgroup2") ||
			(controller && !list_has(tail, controller)))
			continue;
		/* What is mounted may be a part of the hierarchy; own is relative to its root. */
		struct bytes root = field[3];
		if (bytes_eq_string(root, "/"))
			root.n = 0;
		if (!bytes_starts_with(own, root))
			continue;
		struct bytes below = { own.p + root.n, own.n - root.n };
		char path[1024];
		int n = snprintf(path, sizeof path, "%.*s%.*s", (int)field[4].n, field[4].p,
			(int)below.n, below.p);
		if (n < 0 || (size_t)n >= sizeof path)
			continue;
		int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd >= 0 && faccessat(fd, ".", W_OK, AT_EACCESS) == 0)
			return fd;
		if (fd >= 0)
			(void)close(fd);
	}
	return -1;
}

/* Reads a small file of a group. Returns its text, or an empty one. */
static struct bytes read_small(int folder, const char *path, char *buffer, size_t cap)
{
	int fd = openat(folder, path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, buffer, cap) : -1;
	if (fd >= 0)
		(void)close(fd);
	return (struct bytes){ buffer, n > 0 ? (size_t)n : 0 };
}

static bool write_small(int folder, const char *path, const char *text)
{
	int fd = openat(folder, path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	size_t n = strlen(text);
	bool is_written = write(fd, text, n) == (ssize_t)n;
	int saved = errno;
	(void)close(fd);
	errno = saved;
	return is_written;
}

static bool words_have(struct bytes words, const char *word)
{
	while (words.n) {
		struct bytes line = next_piece(&words, '\n');
		while (line.n)
			if (bytes_eq_string(next_piece(&line, ' '), word))
				return true;
	}
	return false;
}

/* Version 2 forbids processes in a group that hands controllers down. When the group holds only the
 * server's own two processes (a unit that was delegated to it), they step down into a group "core";
 * strangers are never moved. */
static bool step_down(int own)
{
	char pids[256], number[16];
	struct bytes left = read_small(own, "cgroup.procs", pids, sizeof pids);

	for (struct bytes rest = left; rest.n;) {
		uint64_t pid = 0;
		struct bytes line = next_piece(&rest, '\n');
		if (!bytes_parse_u64(line, INT32_MAX, &pid) ||
			((pid_t)pid != getpid() && (pid_t)pid != getppid()))
			return false;
	}
	if (mkdirat(own, "core", 0755) && errno != EEXIST)
		return false;
	while (left.n) {
		struct bytes line = next_piece(&left, '\n');
		if (!bytes_to_string(line, number, sizeof number) ||
			!write_small(own, "core/cgroup.procs", number))
			return false;
	}
	return true;
}

static bool open_v2(struct sandbox_cgroup *cgroup, struct bytes table, struct bytes mounts)
{
	static const char wanted[] = "+memory +pids +cpu", needed[] = "+memory +pids";
	char text[256];
	struct bytes own, controllers;

	if (!own_path(table, NULL, &own))
		return false;
	int fd = open_own(mounts, own, NULL);
	if (fd < 0)
		return false;
	controllers = read_small(fd, "cgroup.controllers", text, sizeof text);
	bool has_cpu = words_have(controllers, "cpu");
	const char *request = has_cpu ? wanted : needed;
	bool is_open = words_have(controllers, "memory") && words_have(controllers, "pids") &&
		       (write_small(fd, "cgroup.subtree_control", request) ||
			       (errno == EBUSY && step_down(fd) &&
				       write_small(fd, "cgroup.subtree_control", request)));
	if (!is_open) {
		(void)close(fd);
		return false;
	}
	cgroup->kind = SANDBOX_CGROUP_V2;
	cgroup->parent[SANDBOX_MEMORY] = cgroup->parent[SANDBOX_PIDS] = fd;
	cgroup->parent[SANDBOX_CPU] = has_cpu ? fd : -1;
	return true;
}

static void open_v1(struct sandbox_cgroup *cgroup, struct bytes table, struct bytes mounts)
{
	for (size_t i = 0; i < SANDBOX_CONTROLLERS; i++) {
		struct bytes own;
		if (own_path(table, controller_names[i], &own))
			cgroup->parent[i] = open_own(mounts, own, controller_names[i]);
	}
	if (cgroup->parent[SANDBOX_MEMORY] >= 0 && cgroup->parent[SANDBOX_PIDS] >= 0)
		cgroup->kind = SANDBOX_CGROUP_V1;
}

/* True when folder i is not also in an earlier place. */
static bool is_first(const struct sandbox_cgroup *cgroup, size_t i)
{
	if (cgroup->parent[i] < 0)
		return false;
	for (size_t k = 0; k < i; k++)
		if (cgroup->parent[k] == cgroup->parent[i])
			return false;
	return true;
}

/* Groups are named tenon-<owner>-<id>. A killed owner cannot remove its own; the next one does. */
static void sweep(const struct sandbox_cgroup *cgroup, int folder)
{
	int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *entries = copy >= 0 ? fdopendir(copy) : NULL;
	if (!entries) {
		if (copy >= 0)
			(void)close(copy);
		return;
	}
	for (struct dirent *entry; (entry = readdir(entries));) {
		struct bytes name = bytes_of(entry->d_name);
		uint64_t owner = 0;
		if (!bytes_starts_with(name, BYTES(NAME_PREFIX)))
			continue;
		name = (struct bytes){ name.p + strlen(NAME_PREFIX), name.n - strlen(NAME_PREFIX) };
		if (bytes_parse_u64(next_piece(&name, '-'), INT32_MAX, &owner) && owner > 0 &&
			(pid_t)owner != cgroup->owner && kill((pid_t)owner, 0) && errno == ESRCH)
			(void)unlinkat(folder, entry->d_name, AT_REMOVEDIR);
	}
	(void)closedir(entries);
}

void sandbox_cgroup_open(struct sandbox_cgroup *ret)
{
	DEFER(bytes_buf_fini) struct bytes_buf table, mounts;

	*ret = (struct sandbox_cgroup){ .parent = { -1, -1, -1 }, .owner = getpid() };
	bytes_buf_init(&table, TABLE_BYTES);
	bytes_buf_init(&mounts, TABLE_BYTES);
	if (!read_table("/proc/self/cgroup", &table) ||
		!read_table("/proc/self/mountinfo", &mounts))
		return;
	if (!open_v2(ret, bytes_buf_view(&table), bytes_buf_view(&mounts)))
		open_v1(ret, bytes_buf_view(&table), bytes_buf_view(&mounts));
	if (ret->kind == SANDBOX_CGROUP_NONE)
		sandbox_cgroup_close(ret);
	for (size_t i = 0; i < SANDBOX_CONTROLLERS; i++)
		if (is_first(ret, i))
			sweep(ret, ret->parent[i]);
}

void sandbox_cgroup_close(struct sandbox_cgroup *cgroup)
{
	for (size_t i = 0; i < SANDBOX_CONTROLLERS; i++)
		if (is_first(cgroup, i))
			(void)close(cgroup->parent[i]);
	*cgroup = (struct sandbox_cgroup){ .parent = { -1, -1, -1 }, .owner = cgroup->owner };
}

/* "tenon-<owner>-<id>" or a file in it. */
static void group_path(
	const struct sandbox_cgroup *cgroup, uint64_t id, const char *file, char out[static 96])
{
	(void)snprintf(out, 96, NAME_PREFIX "%d-%" PRIu64 "%s%s", (int)cgroup->owner, id,
		*file ? "/" : "", file);
}

static bool set_limit(const struct sandbox_cgroup *cgroup, uint64_t id,
	enum sandbox_controller controller, const char *file, const char *text)
{
	char path[96];

	group_path(cgroup, id, file, path);
	return write_small(cgroup->parent[controller], path, text);
}

/* The processor's time is counted in periods of 100 ms, the kernel's own default. */
#define CPU_PERIOD_US 100000u

static bool set_limits(const struct sandbox_cgroup *cgroup, uint64_t id,
	const struct sandbox_cgroup_limits *limits)
{
	bool is_v2 = cgroup->kind == SANDBOX_CGROUP_V2, is_set = true;
	char text[64];

	if (limits->memory_bytes) {
		(void)snprintf(text, sizeof text, "%" PRIu64, limits->memory_bytes);
		is_set = set_limit(cgroup, id, SANDBOX_MEMORY,
			is_v2 ? "memory.max" : "memory.limit_in_bytes", text);
		/* Not every kernel accounts swap; where it does, none is allowed. */
		(void)set_limit(cgroup, id, SANDBOX_MEMORY,
			is_v2 ? "memory.swap.max" : "memory.memsw.limit_in_bytes",
			is_v2 ? "0" : text);
	}
	if (is_set && limits->pids) {
		(void)snprintf(text, sizeof text, "%" PRIu32, limits->pids);
		is_set = set_limit(cgroup, id, SANDBOX_PIDS, "pids.max", text);
	}
	if (is_set && limits->cpu_percent && cgroup->parent[SANDBOX_CPU] >= 0) {
		uint64_t quota = (uint64_t)limits->cpu_percent * (CPU_PERIOD_US / 100);
		int n = snprintf(text, sizeof text, "%" PRIu64, quota);
		if (is_v2)
			(void)snprintf(text + n, sizeof text - (size_t)n, " %u", CPU_PERIOD_US);
		is_set = set_limit(
			cgroup, id, SANDBOX_CPU, is_v2 ? "cpu.max" : "cpu.cfs_quota_us", text);
	}
	return is_set;
}

int sandbox_cgroup_make(const struct sandbox_cgroup *cgroup, uint64_t id,
	const struct sandbox_cgroup_limits *limits, struct err *err)
{
	char path[96];

	if (cgroup->kind == SANDBOX_CGROUP_NONE)
		return 0;
	group_path(cgroup, id, "", path);
	for (size_t i = 0; i < SANDBOX_CONTROLLERS; i++)
		if (is_first(cgroup, i) && mkdirat(cgroup->parent[i], path, 0755) &&
			errno != EEXIST) {
			(void)ERR_SET(err, ERR_IO, "cannot make the %s group", controller_names[i]);
			sandbox_cgroup_remove(cgroup, id);
			return -1;
		}
	if (!set_limits(cgroup, id, limits)) {
		(void)ERR_SET(err, ERR_IO, "cannot set the limits of a group");
		sandbox_cgroup_remove(cgroup, id);
		return -1;
	}
	return 0;
}

int sandbox_cgroup_enter(
	const struct sandbox_cgroup *cgroup, uint64_t id, pid_t pid, struct err *err)
{
	char path[96], text[16];

	group_path(cgroup, id, "cgroup.procs", path);
	(void)snprintf(text, sizeof text, "%d", (int)pid);
	for (size_t i = 0; i < SANDBOX_CONTROLLERS; i++)
		if (is_first(cgroup, i) && !write_small(cgroup->parent[i], path, text))
			return ERR_SET(
				err, ERR_IO, "cannot enter the %s group", controller_names[i]);
	return 0;
}

uint64_t sandbox_cgroup_oom_kills(const struct sandbox_cgroup *cgroup, uint64_t id)
{
	char path[96], text[1024];
	uint64_t kills = 0;

	if (cgroup->kind == SANDBOX_CGROUP_NONE)
		return 0;
	group_path(cgroup, id,
		cgroup->kind == SANDBOX_CGROUP_V2 ? "memory.events" : "memory.oom_control", path);
	struct bytes left = read_small(cgroup->parent[SANDBOX_MEMORY], path, text, sizeof text);
	while (left.n) {
		struct bytes line = next_piece(&left, '\n');
		if (bytes_eq_string(next_piece(&line, ' '), "oom_kill"))
			(void)bytes_parse_u64(line, UINT64_MAX, &kills);
	}
	return kills;
}

void sandbox_cgroup_remove(const struct sandbox_cgroup *cgroup, uint64_t id)
{
	char path[96];

	group_path(cgroup, id, "", path);
	for (size_t i = 0; i < SANDBOX_CONTROLLERS; i++)
		if (is_first(cgroup, i))
			(void)unlinkat(cgroup->parent[i], path, AT_REMOVEDIR);
}
