/*
 * selftest.c - the canary: tries 55 ways out of its own sandbox, and counts
 *
 * The server runs it at start, in a worker whose filter answers a refused system call with an error
 * where that of any other worker ends the process; the rows are the same. An attempt that succeeds
 * is named in the answer, and the server then loads no tenant's plugin.
 *
 * Every attempt is harmless if it does succeed: it asks about this process, or makes something that
 * dies with it. Where the sandbox has two answers for an attempt (the filter's and, behind it, the
 * empty root's), either is a refusal.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/io_uring.h>
#include <linux/perf_event.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <tenon/plugin.h>

#define ATTEMPTS 55

struct attempt {
	const char *name;
	long (*run)(void); /* NULL: the system call below */
	long call;
	long arguments[5];
};

/* ---- attempts that take more than one system call ---- */

/* A child that should not exist must not go on to answer the server's call. */
static long end_child(long pid)
{
	if (pid == 0)
		_exit(0);
	return pid;
}

static long try_clone(void)
{
	return end_child(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
}

static long try_clone3(void)
{
	struct clone_args arguments;

	memset(&arguments, 0, sizeof arguments);
	arguments.exit_signal = SIGCHLD;
	return end_child(syscall(SYS_clone3, &arguments, sizeof arguments));
}

static long try_user_namespace_clone(void)
{
	return end_child(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0));
}

static long try_exec(void)
{
	char name[] = "/plugin.so";
	char *arguments[] = { name, NULL }, *environment[] = { NULL };
	return syscall(SYS_execve, name, arguments, environment);
}

static long try_exec_at(void)
{
	char name[] = "/plugin.so";
	char *arguments[] = { name, NULL }, *environment[] = { NULL };
	return syscall(SYS_execveat, AT_FDCWD, name, arguments, environment, 0);
}

static long try_peek(long call)
{
	char here[8] = { 0 }, there[8] = { 0 };
	struct iovec local = { here, sizeof here }, remote = { there, sizeof there };
	return syscall(call, getpid(), &local, 1L, &remote, 1L, 0L);
}

static long try_read_process(void)
{
	return try_peek(SYS_process_vm_readv);
}

static long try_write_process(void)
{
	return try_peek(SYS_process_vm_writev);
}

static long try_bpf(void)
{
	union bpf_attr attributes;

	memset(&attributes, 0, sizeof attributes);
	attributes.map_type = BPF_MAP_TYPE_ARRAY;
	attributes.key_size = attributes.value_size = 4;
	attributes.max_entries = 1;
	return syscall(SYS_bpf, BPF_MAP_CREATE, &attributes, sizeof attributes);
}

static long try_perf(void)
{
	struct perf_event_attr attributes;

	memset(&attributes, 0, sizeof attributes);
	attributes.type = PERF_TYPE_SOFTWARE;
	attributes.size = sizeof attributes;
	attributes.config = PERF_COUNT_SW_CPU_CLOCK;
	return syscall(SYS_perf_event_open, &attributes, 0L, -1L, -1L, 0L);
}

static long try_io_uring(void)
{
	struct io_uring_params parameters;

	memset(&parameters, 0, sizeof parameters);
	return syscall(SYS_io_uring_setup, 1L, &parameters);
}

static long try_filter_listener(void)
{
	/* One instruction, "allow": it would sit above the host's and could answer for it. */
	struct {
		unsigned short code;
		unsigned char jump_true, jump_false;
		unsigned k;
	} allow = { 0x06, 0, 0, SECCOMP_RET_ALLOW };
	struct {
		unsigned short n;
		void *filter;
	} program = { 1, &allow };
	return syscall(
		SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
}

static long try_capset(void)
{
	struct {
		unsigned version;
		int pid;
	} header = { 0x20080522u, 0 };
	unsigned data[6] = { 0 };
	return syscall(SYS_capset, &header, data);
}

static long try_queue(void)
{
	return syscall(SYS_mq_open, "tenon-selftest", O_CREAT | O_RDWR, 0600L, NULL);
}

static long try_timer(void)
{
	int id = 0;
	return syscall(SYS_timer_create, 1L, NULL, &id);
}

static long try_priority_futex(void)
{
	unsigned word = 0;
	return syscall(SYS_futex, &word, 6L /* FUTEX_LOCK_PI */, 0L, NULL, NULL, 0L);
}

static long as_result(void *mapped)
{
	if (mapped == MAP_FAILED)
		return -1;
	(void)munmap(mapped, 4096);
	return 0;
}

static long try_writable_code(void)
{
	return as_result(mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static long try_anonymous_code(void)
{
	return as_result(
		mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static long try_code_from_data(void)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		return -1;
	long result = mprotect(page, 4096, PROT_READ | PROT_EXEC);
	(void)munmap(page, 4096);
	return result;
}

/* Any descriptor from 3 to 7: the segment, the plugin's file, the pipe of the spawner. */
static long try_left_descriptors(void)
{
	struct {
		char bytes[256]; /* larger than any architecture's struct stat */
	} status;

	for (long fd = 3; fd < 8; fd++)
		if (syscall(SYS_fstat, fd, &status) == 0)
			return fd;
	return -1;
}

static long try_send_descriptor(void)
{
	struct msghdr header;

	memset(&header, 0, sizeof header);
	return syscall(SYS_sendmsg, 1L, &header, 0L);
}

/* ---- the table ---- */

#define OPEN(path, flags)                                                                          \
	{                                                                                          \
		"open " path, NULL, SYS_openat,                                                    \
		{                                                                                  \
			AT_FDCWD, (long)path, flags, 0600, 0                                       \
		}                                                                                  \
	}

static const struct attempt attempts[] = {
	{ "socket inet", NULL, SYS_socket, { AF_INET, SOCK_STREAM, 0, 0, 0 } },
	{ "socket inet6", NULL, SYS_socket, { AF_INET6, SOCK_DGRAM, 0, 0, 0 } },
	{ "socket unix", NULL, SYS_socket, { AF_UNIX, SOCK_STREAM, 0, 0, 0 } },
	{ "socket netlink", NULL, SYS_socket, { AF_NETLINK, SOCK_RAW, 0, 0, 0 } },
	{ "socket packet", NULL, SYS_socket, { AF_PACKET, SOCK_RAW, 0, 0, 0 } },
	{ "socket vsock", NULL, SYS_socket, { AF_VSOCK, SOCK_STREAM, 0, 0, 0 } },
	{ "sendmsg", try_send_descriptor, 0, { 0 } },
	{ "clone", try_clone, 0, { 0 } },
	{ "clone3", try_clone3, 0, { 0 } },
	{ "clone into a user namespace", try_user_namespace_clone, 0, { 0 } },
	{ "execve", try_exec, 0, { 0 } },
	{ "execveat", try_exec_at, 0, { 0 } },
	{ "ptrace", NULL, SYS_ptrace, { PTRACE_TRACEME, 0, 0, 0, 0 } },
	{ "process_vm_readv", try_read_process, 0, { 0 } },
	{ "process_vm_writev", try_write_process, 0, { 0 } },
	{ "pidfd_open", NULL, SYS_pidfd_open, { 1, 0, 0, 0, 0 } },
	{ "kcmp", NULL, SYS_kcmp, { 1, 1, 0, 0, 0 } },
	{ "kill", NULL, SYS_kill, { -1, 0, 0, 0, 0 } },
	{ "tgkill another", NULL, SYS_tgkill, { 2, 2, 0, 0, 0 } },
	{ "mount", NULL, SYS_mount, { (long)"none", (long)"/", (long)"tmpfs", 0, 0 } },
	{ "umount", NULL, SYS_umount2, { (long)"/", 2 /* MNT_DETACH */, 0, 0, 0 } },
	{ "fsopen", NULL, SYS_fsopen, { (long)"tmpfs", 0, 0, 0, 0 } },
	{ "open_tree", NULL, SYS_open_tree, { AT_FDCWD, (long)"/", 0, 0, 0 } },
	{ "chroot", NULL, SYS_chroot, { (long)"/", 0, 0, 0, 0 } },
	{ "unshare", NULL, SYS_unshare, { CLONE_NEWUSER, 0, 0, 0, 0 } },
	{ "setns", NULL, SYS_setns, { 0, 0, 0, 0, 0 } },
	{ "bpf", try_bpf, 0, { 0 } },
	{ "perf_event_open", try_perf, 0, { 0 } },
	{ "userfaultfd", NULL, SYS_userfaultfd, { 1, 0, 0, 0, 0 } },
	{ "io_uring_setup", try_io_uring, 0, { 0 } },
	{ "add_key", NULL, SYS_add_key, { (long)"user", (long)"tenon", (long)"x", 1, -2 } },
	{ "keyctl", NULL, SYS_keyctl, { 0, -2, 1, 0, 0 } },
	{ "personality", NULL, SYS_personality, { 0xffffffff, 0, 0, 0, 0 } },
	{ "prctl", NULL, SYS_prctl, { PR_GET_DUMPABLE, 0, 0, 0, 0 } },
	{ "seccomp listener", try_filter_listener, 0, { 0 } },
	{ "setuid", NULL, SYS_setuid, { 0, 0, 0, 0, 0 } },
	{ "setresuid", NULL, SYS_setresuid, { -1, -1, -1, 0, 0 } },
	{ "capset", try_capset, 0, { 0 } },
	{ "memfd_create", NULL, SYS_memfd_create, { (long)"x", 0, 0, 0, 0 } },
	{ "memfd_secret", NULL, SYS_memfd_secret, { 0, 0, 0, 0, 0 } },
	{ "shmget", NULL, SYS_shmget, { IPC_PRIVATE, 4096, 0600, 0, 0 } },
	{ "mq_open", try_queue, 0, { 0 } },
	{ "timer_create", try_timer, 0, { 0 } },
	{ "inotify_init1", NULL, SYS_inotify_init1, { 0, 0, 0, 0, 0 } },
	{ "futex with priority", try_priority_futex, 0, { 0 } },
	{ "writable code", try_writable_code, 0, { 0 } },
	{ "anonymous code", try_anonymous_code, 0, { 0 } },
	{ "code from data", try_code_from_data, 0, { 0 } },
	{ "descriptors of the host", try_left_descriptors, 0, { 0 } },
	OPEN("/etc/passwd", O_RDONLY),
	OPEN("/proc/self/mem", O_RDWR),
	OPEN("/dev/null", O_RDWR),
	OPEN("/", O_RDONLY | O_DIRECTORY),
	OPEN("/plugin.so", O_WRONLY),
	OPEN("/new", O_WRONLY | O_CREAT),
};

typedef char attempts_are_55[sizeof attempts / sizeof attempts[0] == ATTEMPTS ? 1 : -1];

static long run_attempt(const struct attempt *attempt)
{
	const long *a = attempt->arguments;

	if (attempt->run)
		return attempt->run();
	return syscall(attempt->call, a[0], a[1], a[2], a[3], a[4]);
}

/* {"attempts":55,"refused":55,"allowed":[]} */
static size_t run_all(char *out, size_t cap)
{
	char allowed[2048] = "";
	size_t n_refused = 0, n_allowed = 0;

	for (size_t i = 0; i < ATTEMPTS; i++) {
		/* Every refusal is -1; anything else is a way out. */
		if (run_attempt(&attempts[i]) == -1) {
			n_refused++;
			continue;
		}
		int n = snprintf(allowed + n_allowed, sizeof allowed - n_allowed, "%s\"%s\"",
			n_allowed ? "," : "", attempts[i].name);
		if (n > 0 && (size_t)n < sizeof allowed - n_allowed)
			n_allowed += (size_t)n;
	}
	int n = snprintf(out, cap, "{\"attempts\":%d,\"refused\":%zu,\"allowed\":[%s]}", ATTEMPTS,
		n_refused, allowed);
	return n > 0 && (size_t)n < cap ? (size_t)n : 0;
}

/* ---- the plugin ---- */

struct tenon_instance {
	const struct tenon_call_api *call;
	char answer[4096];
};

static struct tenon_instance the_instance;

static int32_t create(struct tenon_host *host, struct tenon_call *boot,
	const struct tenon_config *config, struct tenon_instance **out)
{
	(void)boot;
	(void)config;
	the_instance.call = host->iface(host, TENON_CALL_ID, 1);
	*out = &the_instance;
	return the_instance.call ? TENON_OK : TENON_E_UNSUPPORTED;
}

static int32_t invoke(struct tenon_instance *instance, struct tenon_call *call)
{
	struct tenon_response response;

	memset(&response, 0, sizeof response);
	response.size = sizeof response;
	response.status = 200;
	response.body = instance->answer;
	response.body_n = run_all(instance->answer, sizeof instance->answer);
	return instance->call->respond(call, &response);
}

static void destroy(struct tenon_instance *instance)
{
	(void)instance;
}

const struct tenon_plugin tenon_plugin_v1 = {
	.size = sizeof tenon_plugin_v1,
	.abi_major = TENON_ABI_MAJOR,
	.abi_minor = TENON_ABI_MINOR,
	.target = TENON_TARGET,
	.concurrency = TENON_SERIAL,
	.id = "selftest",
	.version = "1.0.0",
	.create = create,
	.invoke = invoke,
	.destroy = destroy,
};
