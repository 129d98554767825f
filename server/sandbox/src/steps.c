/*
 * steps.c - the way into the jail, one function per step, in the only order that works
 *
 * The order is forced by what each step takes away:
 *   namespaces    needs /proc, which mounts removes
 *   mounts        needs CAP_SYS_ADMIN in the worker's user namespace, and RLIMIT_FSIZE above 0
 *   identity      clears the parent-death signal, so parent comes after it
 *   landlock      needs a descriptor for /plugin.so, which is there only after mounts
 *   seccomp       refuses every call that the steps above make
 * The table is the order; a step whose layer the spec does not name is passed over, and which
 * layers a spec may lack is decided by sandbox_report_check(), never here.
 */
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <linux/securebits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "landlock.h"
#include "sandbox_filter.h"

#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#endif
#define MDWE_REFUSE_EXEC_GAIN 1ul

/* Any folder that every system has serves: the new root is stacked on it for an instant. */
#define ROOT_STAGE "/tmp"

/* Nothing on the plugin's side may make a user namespace, in which it would be root again. */
static int step_namespaces(const struct sandbox_spec *spec, struct err *err)
{
	(void)spec;
	int fd = open("/proc/sys/user/max_user_namespaces", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return ERR_SET(err, ERR_IO, "cannot open max_user_namespaces");
	ssize_t n = write(fd, "0", 1);
	(void)close(fd);
	if (n != 1)
		return ERR_SET(err, ERR_IO, "cannot forbid user namespaces");
	return 0;
}

/* Copies the plugin by offset: a memfd's own offset is shared with every duplicate of it. */
static int copy_plugin(const char *path, off_t size, struct err *err)
{
	int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0444);
	if (fd < 0)
		return ERR_SET(err, ERR_IO, "cannot create the plugin's file");
	/* Readable for whom the next steps make of this process, whatever the umask says. */
	if (fchmod(fd, 0444)) {
		(void)ERR_SET(err, ERR_IO, "cannot make the plugin readable");
		(void)close(fd);
		return -1;
	}
	off_t at = 0;
	while (at < size) {
		ssize_t n = sendfile(fd, SANDBOX_FD_PLUGIN, &at, (size_t)(size - at));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			(void)ERR_SET(err, ERR_IO, "cannot copy the plugin");
			(void)close(fd);
			return -1;
		}
	}
	(void)close(fd);
	return 0;
}

/* A root of one read-only file. tmpfs, because nothing of the host's may be below it. */
static int step_mounts(const struct sandbox_spec *spec, struct err *err)
{
	(void)spec;
	struct stat plugin;
	char options[64];

	if (fstat(SANDBOX_FD_PLUGIN, &plugin) || !S_ISREG(plugin.st_mode) || plugin.st_size <= 0)
		return ERR_SET(err, ERR_IO, "descriptor %d is no plugin file", SANDBOX_FD_PLUGIN);
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return ERR_SET(err, ERR_IO, "cannot make the mounts private");
	/* 64 KiB for the root folder itself, whatever the size of a page. */
	(void)snprintf(options, sizeof options, "size=%lld,nr_inodes=16,mode=0755",
		(long long)plugin.st_size + 65536);
	if (mount("none", ROOT_STAGE, "tmpfs", MS_NOSUID | MS_NODEV, options))
		return ERR_SET(err, ERR_IO, "cannot mount the new root");
	if (chdir(ROOT_STAGE))
		return ERR_SET(err, ERR_IO, "cannot enter the new root");
	if (copy_plugin(&SANDBOX_PLUGIN_PATH[1], plugin.st_size, err))
		return -1;
	/* The new root is put over the old one, which then lies under "." and is taken away whole.
	 */
	if (syscall(SYS_pivot_root, ".", "."))
		return ERR_SET(err, ERR_IO, "cannot change the root");
	if (umount2(".", MNT_DETACH) || chdir("/"))
		return ERR_SET(err, ERR_IO, "cannot take the old root away");
	if (mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV, NULL))
		return ERR_SET(err, ERR_IO, "cannot make the root read-only");
	return 0;
}

static int step_rlimits(const struct sandbox_spec *spec, struct err *err)
{
	const struct {
		int resource;
		rlim_t limit;
	} rows[] = {
		{ RLIMIT_CORE, 0 },
		{ RLIMIT_FSIZE, 0 },
		{ RLIMIT_NPROC, 0 },
		{ RLIMIT_MEMLOCK, 0 },
		{ RLIMIT_MSGQUEUE, 0 },
		{ RLIMIT_NICE, 0 },
		{ RLIMIT_RTPRIO, 0 },
		{ RLIMIT_SIGPENDING, 64 },
		/* 0-2, one for the loader at a time, and the eventfds. */
		{ RLIMIT_NOFILE, SANDBOX_FD_EVENT + SANDBOX_EVENTFDS_MAX },
		{ RLIMIT_STACK, 1 << 20 },
		{ RLIMIT_AS, spec->address_space_bytes },
		{ RLIMIT_CPU, spec->cpu_s ? spec->cpu_s : RLIM_INFINITY },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct rlimit limit = { rows[i].limit, rows[i].limit };
		struct rlimit old;
		if (getrlimit((__rlimit_resource_t)rows[i].resource, &old))
			return ERR_SET(err, ERR_IO, "cannot read limit %d", rows[i].resource);
		/* A tighter limit from outside stays. */
		if (limit.rlim_max > old.rlim_max)
			limit.rlim_cur = limit.rlim_max = old.rlim_max;
		if (setrlimit((__rlimit_resource_t)rows[i].resource, &limit))
			return ERR_SET(err, ERR_IO, "cannot set limit %d", rows[i].resource);
	}
	return 0;
}

/* No exec and no change of user id can ever give a capability back. */
static int step_bounding(const struct sandbox_spec *spec, struct err *err)
{
	(void)spec;
	for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0))
			return ERR_SET(err, ERR_IO, "cannot drop capability %lu", cap);
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0))
		return ERR_SET(err, ERR_IO, "cannot clear ambient capabilities");
	unsigned long bits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
			     SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
			     SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;
	if (prctl(PR_SET_SECUREBITS, bits, 0, 0, 0))
		return ERR_SET(err, ERR_IO, "cannot lock the securebits");
	return 0;
}

/* Root without a user namespace: become the id that is this worker's alone. In a user namespace the
 * spawner's map has done that already. */
static int step_identity(const struct sandbox_spec *spec, struct err *err)
{
	if (spec->layers & SANDBOX_BIT(SANDBOX_USER_NS))
		return 0;
	uid_t id = spec->outer_uid;
	if (id == 0)
		return ERR_SET(err, ERR_INVALID, "a worker without a user namespace needs an id");
	if (setgroups(0, NULL) || setresgid(id, id, id) || setresuid(id, id, id))
		return ERR_SET(err, ERR_IO, "cannot become user %u", (unsigned)id);
	return 0;
}

static int step_capabilities(const struct sandbox_spec *spec, struct err *err)
{
	(void)spec;
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { { 0 } };

	if (syscall(SYS_capset, &header, data))
		return ERR_SET(err, ERR_IO, "cannot drop capabilities");
	/* Believe the kernel's answer, not our own request. */
	memset(data, 0xff, sizeof data);
	if (syscall(SYS_capget, &header, data))
		return ERR_SET(err, ERR_IO, "cannot read capabilities");
	for (size_t i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
		if (data[i].effective | data[i].permitted | data[i].inheritable)
			return ERR_SET(err, ERR_STATE, "capabilities remain");
	return 0;
}

static int step_no_new_privs(const struct sandbox_spec *spec, struct err *err)
{
	(void)spec;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return ERR_SET(err, ERR_IO, "cannot set no_new_privs");
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
		return ERR_SET(err, ERR_IO, "cannot become undumpable");
	(void)umask(077);
	return 0;
}

/* The change of identity has cleared the parent-death signal; set it again. The spawner may have
 * died in between: then the other end of the pipe is closed, and this process must not outlive it.
 */
static int step_parent(const struct sandbox_spec *spec, struct err *err)
{
	(void)spec;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0))
		return ERR_SET(err, ERR_IO, "cannot follow the spawner");
	struct pollfd alive = { .fd = SANDBOX_FD_ALIVE, .events = POLLIN };
	if (poll(&alive, 1, 0) != 0)
		return ERR_SET(err, ERR_UNAVAILABLE, "the spawner is gone");
	return 0;
}

/* Against bugs and neighbours rather than against a hostile plugin. Speculation controls are best
 * effort: processors and kernels differ in which they offer, and the report says what is missing.
 */
static int step_memory(const struct sandbox_spec *spec, struct err *err)
{
	if (spec->layers & SANDBOX_BIT(SANDBOX_MDWE) &&
		prctl(PR_SET_MDWE, MDWE_REFUSE_EXEC_GAIN, 0, 0, 0))
		return ERR_SET(err, ERR_IO, "cannot forbid writable code");
	(void)prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	(void)prctl(PR_SET_SPECULATION_CTRL, PR_SPEC_STORE_BYPASS, PR_SPEC_FORCE_DISABLE, 0, 0);
	(void)prctl(PR_SET_SPECULATION_CTRL, PR_SPEC_INDIRECT_BRANCH, PR_SPEC_FORCE_DISABLE, 0, 0);
	return 0;
}

static int step_landlock(const struct sandbox_spec *spec, struct err *err)
{
	(void)spec;
	return landlock_restrict(SANDBOX_PLUGIN_PATH, NULL, err);
}

/* 3 to 7, whatever the caller has closed already: no memfd, no pipe, nothing but log lines and
 * eventfds is left. A memfd could be mapped a second time, writable or executable. */
static int step_descriptors(const struct sandbox_spec *spec, struct err *err)
{
	if (syscall(SYS_close_range, SANDBOX_FD_SEGMENT, SANDBOX_FD_EVENT - 1, 0) ||
		syscall(SYS_close_range, SANDBOX_FD_EVENT + spec->n_eventfds, ~0u, 0))
		return ERR_SET(err, ERR_IO, "cannot close descriptors");
	return 0;
}

static int step_seccomp(const struct sandbox_spec *spec, struct err *err)
{
	return sandbox_filter_install(SANDBOX_LIST_WORKER, spec->is_selftest, err);
}

static const struct step {
	const char *name;
	uint32_t layers; /* passed over when the spec names none of these; 0: never */
	int (*run)(const struct sandbox_spec *spec, struct err *err);
} steps[] = {
	{ "namespaces", SANDBOX_BIT(SANDBOX_USER_NS), step_namespaces },
	{ "mounts", 0, step_mounts },
	{ "rlimits", 0, step_rlimits },
	{ "bounding", 0, step_bounding },
	{ "identity", 0, step_identity },
	{ "capabilities", 0, step_capabilities },
	{ "no_new_privs", 0, step_no_new_privs },
	{ "parent", 0, step_parent },
	{ "memory", 0, step_memory },
	{ "landlock", 0, step_landlock },
	{ "descriptors", 0, step_descriptors },
	{ "seccomp", 0, step_seccomp },
};

#define STEPS (sizeof steps / sizeof steps[0])

const char *sandbox_step_name(int exit_status)
{
	if (exit_status == SANDBOX_EXIT_EXEC)
		return "exec";
	int step = exit_status - SANDBOX_EXIT_STEP;
	return step >= 0 && (size_t)step < STEPS ? steps[step].name : NULL;
}

static const struct step *first_failure(const struct sandbox_spec *spec, struct err *err)
{
	for (size_t i = 0; i < STEPS; i++)
		if ((!steps[i].layers || spec->layers & steps[i].layers) && steps[i].run(spec, err))
			return &steps[i];
	return NULL;
}

void sandbox_worker_enter(const struct sandbox_spec *spec)
{
	struct err err = { 0 };
	const struct step *failed = first_failure(spec, &err);

	if (!failed)
		return;
	(void)dprintf(STDERR_FILENO, "sandbox: step %s failed: %s%s%s\n", failed->name, err.message,
		err.os_errno ? ": " : "", err.os_errno ? strerror(err.os_errno) : "");
	_exit(SANDBOX_EXIT_STEP + (int)(failed - steps));
}
