#include "sandbox.h"
#include "sandbox_cgroup.h"
#include "sandbox_filter.h"
#include "sandbox_kills.h"
#include "sandbox_report.h"
#include "sandbox_wire.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- the filter ---- */

#define KILL     SECCOMP_RET_KILL_PROCESS
#define OK       SECCOMP_RET_ALLOW
#define SAYS(nr) (SECCOMP_RET_ERRNO | (nr))
#define BAD      0xdeadbeefu /* the program is malformed */

/* An interpreter of what the kernel would run. Anything that our compiler has no reason to emit is
 * BAD. */
static uint32_t interpret(const struct sandbox_program *program, const struct seccomp_data *data)
{
	uint32_t a = 0;
	size_t at = 0;

	for (; at < program->n_insns; at++) {
		const struct sandbox_insn *in = &program->insns[at];
		bool jump = false;
		switch (in->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			if (in->k % 4 || in->k > sizeof *data - 4)
				return BAD;
			memcpy(&a, (const char *)data + in->k, 4);
			continue;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= in->k;
			continue;
		case BPF_RET | BPF_K:
			return in->k;
		case BPF_JMP | BPF_JEQ | BPF_K:
			jump = a == in->k;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			jump = a >= in->k;
			break;
		case BPF_JMP | BPF_JSET | BPF_K:
			jump = a & in->k;
			break;
		default:
			return BAD;
		}
		at += jump ? in->jump_true : in->jump_false;
	}
	return BAD;
}

#define OWN_PID 7u

static uint32_t ask(
	enum sandbox_list list, bool is_soft, uint32_t arch, uint32_t nr, const uint64_t args[6])
{
	struct sandbox_program program;
	struct seccomp_data data = { .nr = (int)nr, .arch = arch };

	memcpy(data.args, args, sizeof data.args);
	sandbox_filter_compile(list, OWN_PID, is_soft, &program);
	return interpret(&program, &data);
}

#if defined(__x86_64__)

#define X86_64 AUDIT_ARCH_X86_64
#define I386   AUDIT_ARCH_I386
#define X32    0x40000000u
#define CALLS  1024u

/* Written by hand from the numbers of the x86-64 calls, not from the module's own table. */
static const struct {
	uint32_t nr, verdict;
} golden[] = {
	{ 0, OK },         /* read */
	{ 1, OK },         /* write */
	{ 3, OK },         /* close */
	{ 5, OK },         /* fstat */
	{ 8, OK },         /* lseek */
	{ 11, OK },        /* munmap */
	{ 12, OK },        /* brk */
	{ 13, SAYS(1) },   /* rt_sigaction: EPERM */
	{ 14, OK },        /* rt_sigprocmask */
	{ 15, OK },        /* rt_sigreturn */
	{ 16, SAYS(25) },  /* ioctl: ENOTTY */
	{ 17, OK },        /* pread64 */
	{ 20, OK },        /* writev */
	{ 24, OK },        /* sched_yield */
	{ 25, OK },        /* mremap */
	{ 28, OK },        /* madvise */
	{ 35, OK },        /* nanosleep */
	{ 39, OK },        /* getpid */
	{ 56, SAYS(1) },   /* clone: EPERM */
	{ 60, OK },        /* exit */
	{ 63, SAYS(1) },   /* uname: EPERM */
	{ 79, SAYS(13) },  /* getcwd: EACCES */
	{ 89, SAYS(13) },  /* readlink: EACCES */
	{ 96, OK },        /* gettimeofday */
	{ 99, SAYS(1) },   /* sysinfo: EPERM */
	{ 102, SAYS(1) },  /* getuid: EPERM */
	{ 186, OK },       /* gettid */
	{ 204, SAYS(1) },  /* sched_getaffinity: EPERM */
	{ 219, OK },       /* restart_syscall */
	{ 228, OK },       /* clock_gettime */
	{ 230, OK },       /* clock_nanosleep */
	{ 231, OK },       /* exit_group */
	{ 257, OK },       /* openat */
	{ 262, OK },       /* newfstatat */
	{ 267, SAYS(13) }, /* readlinkat: EACCES */
	{ 302, SAYS(1) },  /* prlimit64: EPERM */
	{ 318, OK },       /* getrandom */
	{ 435, SAYS(38) }, /* clone3: ENOSYS */
};

/* Calls whose arguments decide: all that matters of each, and what is next to it. */
static const struct {
	uint32_t nr, verdict;
	uint64_t args[6];
} golden_args[] = {
	/* mmap(address, n, prot, flags): 1 read, 2 write, 4 exec; 1 shared, 2 private, 0x20
	   anonymous */
	{ 9, OK, { 0, 4096, 3, 0x22 } },
	{ 9, OK, { 0, 4096, 0, 0x22 } },
	{ 9, OK, { 0, 4096, 3, 0x01 } },
	{ 9, OK, { 0, 4096, 5, 0x02 } },
	{ 9, OK, { 0, 4096, 5, 0x802 } },
	{ 9, SAYS(13), { 0, 4096, 3, 0x40022 } }, /* huge pages */
	{ 9, SAYS(13), { 0, 4096, 7, 0x22 } },
	{ 9, SAYS(13), { 0, 4096, 7, 0x02 } },
	{ 9, SAYS(13), { 0, 4096, 6, 0x02 } },
	{ 9, SAYS(13), { 0, 4096, 5, 0x22 } },
	{ 9, SAYS(13), { 0, 4096, 4, 0x20 } },
	{ 9, SAYS(13), { 0, 4096, 5, 0x01 } },
	{ 9, SAYS(13), { 0, 4096, 5, 0x03 } },
	{ 9, SAYS(13), { 0, 4096, 0x100000005, 0x22 } },
	/* mprotect(address, n, prot) */
	{ 10, OK, { 0, 4096, 0 } },
	{ 10, OK, { 0, 4096, 3 } },
	{ 10, SAYS(13), { 0, 4096, 4 } },
	{ 10, SAYS(13), { 0, 4096, 5 } },
	{ 10, SAYS(13), { 0, 4096, 7 } },
	/* futex(word, operation): 128 private, 256 real-time clock */
	{ 202, OK, { 0, 0 } },
	{ 202, OK, { 0, 128 } },
	{ 202, OK, { 0, 1 } },
	{ 202, OK, { 0, 129 } },
	{ 202, KILL, { 0, 2 } }, /* FUTEX_FD */
	{ 202, OK, { 0, 3 } },
	{ 202, OK, { 0, 4 } },
	{ 202, KILL, { 0, 5 } }, /* WAKE_OP */
	{ 202, KILL, { 0, 6 } }, /* LOCK_PI */
	{ 202, KILL, { 0, 134 } },
	{ 202, KILL, { 0, 7 } },
	{ 202, KILL, { 0, 8 } },
	{ 202, OK, { 0, 9 } },
	{ 202, OK, { 0, 9 + 128 + 256 } },
	{ 202, OK, { 0, 10 } },
	{ 202, KILL, { 0, 11 } },
	{ 202, KILL, { 0, 12 } },
	{ 202, KILL, { 0, 13 } },
	{ 202, KILL, { 0, 512 } },
	{ 202, KILL, { 0, 0x80000000 } },
	/* tgkill(process, thread, signal) */
	{ 234, OK, { OWN_PID, 1, 6 } },
	{ 234, KILL, { 1, 1, 6 } },
	{ 234, KILL, { 0, 1, 6 } },
	{ 234, KILL, { UINT64_MAX, 1, 6 } },
};

static bool decides_by_argument(uint32_t nr)
{
	for (size_t i = 0; i < sizeof golden_args / sizeof golden_args[0]; i++)
		if (golden_args[i].nr == nr)
			return true;
	return false;
}

static uint32_t golden_verdict(uint32_t nr)
{
	for (size_t i = 0; i < sizeof golden / sizeof golden[0]; i++)
		if (golden[i].nr == nr)
			return golden[i].verdict;
	return KILL;
}

static void every_number_has_the_verdict_of_the_golden_table(void)
{
	static const uint64_t patterns[][6] = { { 0 }, { 1, 1, 1, 1, 1, 1 },
		{ UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX } };
	unsigned n_wrong = 0;

	for (uint32_t nr = 0; nr < CALLS; nr++)
		for (size_t p = 0; p < 3; p++) {
			if (!decides_by_argument(nr))
				n_wrong += ask(SANDBOX_LIST_WORKER, false, X86_64, nr,
						   patterns[p]) != golden_verdict(nr);
			n_wrong += ask(SANDBOX_LIST_WORKER, false, X86_64, nr | X32, patterns[p]) !=
				   KILL;
			n_wrong += ask(SANDBOX_LIST_WORKER, false, I386, nr, patterns[p]) != KILL;
		}
	CU_ASSERT_EQUAL(n_wrong, 0);
	CU_ASSERT_EQUAL(ask(SANDBOX_LIST_WORKER, false, X86_64, UINT32_MAX, patterns[0]), KILL);
	CU_ASSERT_EQUAL(ask(SANDBOX_LIST_WORKER, false, 0, 0, patterns[0]), KILL);
}

static void arguments_decide_as_in_the_golden_table(void)
{
	for (size_t i = 0; i < sizeof golden_args / sizeof golden_args[0]; i++) {
		uint32_t verdict = ask(
			SANDBOX_LIST_WORKER, false, X86_64, golden_args[i].nr, golden_args[i].args);
		CU_ASSERT_EQUAL(verdict, golden_args[i].verdict);
		if (verdict != golden_args[i].verdict)
			(void)fprintf(
				stderr, "\nrow %zu of call %u: %x", i, golden_args[i].nr, verdict);
	}
}

static void a_soft_filter_allows_what_the_hard_one_allows_and_no_more(void)
{
	static const uint64_t zero[6] = { 0 };
	unsigned n_wrong = 0;

	for (uint32_t nr = 0; nr < 2 * CALLS; nr++) {
		uint32_t number = nr < CALLS ? nr : (nr - CALLS) | X32;
		for (uint32_t list = 0; list < SANDBOX_LISTS; list++) {
			uint32_t hard = ask((enum sandbox_list)list, false, X86_64, number, zero);
			uint32_t soft = ask((enum sandbox_list)list, true, X86_64, number, zero);
			n_wrong += soft != (hard == KILL ? SAYS(1) : hard);
		}
	}
	CU_ASSERT_EQUAL(n_wrong, 0);
	CU_ASSERT_EQUAL(ask(SANDBOX_LIST_WORKER, true, I386, 20, zero), SAYS(1));
}

/* The spawner's filter stays on its workers: what a worker may do it must let through. */
static void the_spawner_lets_through_all_that_a_worker_may_do(void)
{
	for (size_t i = 0; i < sizeof golden / sizeof golden[0]; i++)
		if (golden[i].verdict == OK)
			CU_ASSERT_EQUAL(ask(SANDBOX_LIST_SPAWNER, true, X86_64, golden[i].nr,
						(uint64_t[6]){ 0 }),
				OK);
	for (size_t i = 0; i < sizeof golden_args / sizeof golden_args[0]; i++)
		if (golden_args[i].verdict == OK)
			CU_ASSERT_EQUAL(ask(SANDBOX_LIST_SPAWNER, true, X86_64, golden_args[i].nr,
						golden_args[i].args),
				OK);
	/* And nothing that opens another door of the kernel: socket, ptrace, bpf, perf_event_open,
	 * userfaultfd, io_uring_setup, add_key, init_module, kexec_load, unshare, setns. */
	static const uint32_t doors[] = { 41, 101, 321, 298, 323, 425, 248, 175, 246, 272, 308 };
	for (size_t i = 0; i < sizeof doors / sizeof doors[0]; i++)
		CU_ASSERT_EQUAL(
			ask(SANDBOX_LIST_SPAWNER, true, X86_64, doors[i], (uint64_t[6]){ 0 }),
			SAYS(1));
}

static void the_inspector_reads_its_input_and_writes_its_answer(void)
{
	const enum sandbox_list list = SANDBOX_LIST_INSPECTOR;
	unsigned n_allowed = 0;

	CU_ASSERT_EQUAL(ask(list, false, X86_64, 0, (uint64_t[6]){ 0 }), OK);
	CU_ASSERT_EQUAL(ask(list, false, X86_64, 0, (uint64_t[6]){ 3 }), KILL);
	CU_ASSERT_EQUAL(ask(list, false, X86_64, 1, (uint64_t[6]){ 1 }), OK);
	CU_ASSERT_EQUAL(ask(list, false, X86_64, 1, (uint64_t[6]){ 2 }), OK);
	CU_ASSERT_EQUAL(ask(list, false, X86_64, 1, (uint64_t[6]){ 0 }), KILL);
	CU_ASSERT_EQUAL(ask(list, false, X86_64, 9, (uint64_t[6]){ 0, 1, 3, 0x22 }), OK);
	CU_ASSERT_EQUAL(ask(list, false, X86_64, 9, (uint64_t[6]){ 0, 1, 1, 0x02 }), KILL);
	CU_ASSERT_EQUAL(ask(list, false, X86_64, 9, (uint64_t[6]){ 0, 1, 7, 0x22 }), KILL);
	for (uint32_t nr = 0; nr < CALLS; nr++)
		n_allowed += ask(list, false, X86_64, nr, (uint64_t[6]){ 0 }) != KILL;
	/* read, pread64, munmap, brk, mremap, madvise, getrandom, exit_group */
	CU_ASSERT_EQUAL(n_allowed, 8);
}

#endif

/* ---- the steps, each made to fail ---- */

/* From now on this one call fails with EPERM, everything else works. */
static bool sabotage(uint32_t nr)
{
	struct sock_filter rows[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { 4, rows };

	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0;
}

static bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool is_written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		(void)close(fd);
	return is_written;
}

/* A process in the state in which a worker begins: namespaces, descriptors. */
static bool prepare(bool has_plugin, bool has_spawner)
{
	char uid_map[32], gid_map[32];
	int plugin = memfd_create("plugin", 0), alive[2];

	(void)snprintf(uid_map, sizeof uid_map, "0 %u 1", (unsigned)getuid());
	(void)snprintf(gid_map, sizeof gid_map, "0 %u 1", (unsigned)getgid());
	if (plugin < 0 || (has_plugin && write(plugin, "plugin", 6) != 6) || pipe(alive))
		return false;
	plugin = fcntl(plugin, F_DUPFD, 20);
	int alive_read = fcntl(alive[0], F_DUPFD, 20), alive_write = fcntl(alive[1], F_DUPFD, 20);
	if (dup2(plugin, SANDBOX_FD_PLUGIN) < 0 || dup2(alive_read, SANDBOX_FD_ALIVE) < 0)
		return false;
	(void)close(SANDBOX_FD_SEGMENT);
	/* The write end stays open here unless the spawner is to be dead. */
	for (int fd = 6; fd < 64; fd++)
		if (fd != alive_write || !has_spawner)
			(void)close(fd);
	return unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 &&
	       write_file("/proc/self/setgroups", "deny") &&
	       write_file("/proc/self/uid_map", uid_map) &&
	       write_file("/proc/self/gid_map", gid_map);
}

#define WORKER_SPEC                                                                                \
	((struct sandbox_spec){ .layers = SANDBOX_BIT(SANDBOX_LAYERS) - 1,                         \
		.n_eventfds = 1,                                                                   \
		.address_space_bytes = 1ull << 46 })

/* Enters the sandbox in a child. Returns its wait status. */
static int enter(long broken_call, bool has_plugin, bool has_spawner)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		int null = open("/dev/null", O_WRONLY);
		(void)dup2(null, STDERR_FILENO);
		if (!prepare(has_plugin, has_spawner) ||
			(broken_call >= 0 && !sabotage((uint32_t)broken_call)))
			_exit(1);
		struct sandbox_spec spec = WORKER_SPEC;
		sandbox_worker_enter(&spec);
		(void)syscall(SYS_exit_group, 0); /* inside: says 0 */
	}
	(void)waitpid(pid, &status, 0);
	return status;
}

static const char *failed_step(int status)
{
	const char *name = WIFEXITED(status) ? sandbox_step_name(WEXITSTATUS(status)) : NULL;
	return name ? name : "none";
}

static void a_step_that_fails_names_itself_and_ends_the_process(void)
{
	static const struct {
		long call;
		const char *step;
	} rows[] = {
		{ SYS_mount, "mounts" },
		{ SYS_pivot_root, "mounts" },
		{ SYS_umount2, "mounts" },
		{ SYS_chdir, "mounts" },
		{ SYS_prlimit64, "rlimits" },
		{ SYS_prctl, "bounding" },
		{ SYS_capset, "capabilities" },
		{ SYS_capget, "capabilities" },
		{ SYS_landlock_create_ruleset, "landlock" },
		{ SYS_landlock_add_rule, "landlock" },
		{ SYS_landlock_restrict_self, "landlock" },
		{ SYS_close_range, "descriptors" },
		{ SYS_seccomp, "seccomp" },
		{ SYS_openat, "namespaces" },
	};

	CU_ASSERT_EQUAL(enter(-1, true, true), 0);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		CU_ASSERT_STRING_EQUAL(failed_step(enter(rows[i].call, true, true)), rows[i].step);
	CU_ASSERT_STRING_EQUAL(failed_step(enter(-1, false, true)), "mounts");
	CU_ASSERT_STRING_EQUAL(failed_step(enter(-1, true, false)), "parent");
	CU_ASSERT_STRING_EQUAL(sandbox_step_name(SANDBOX_EXIT_EXEC), "exec");
	CU_ASSERT_PTR_NULL(sandbox_step_name(0));
	CU_ASSERT_STRING_EQUAL(sandbox_step_name(SANDBOX_EXIT_STEP + 11), "seccomp");
	CU_ASSERT_PTR_NULL(sandbox_step_name(SANDBOX_EXIT_STEP + 12));
}

/* ---- what travels between processes ---- */

static void a_spec_survives_its_text(void)
{
	const struct sandbox_spec spec = { .layers = 0x2a,
		.outer_uid = 1900000001,
		.n_eventfds = 8,
		.cpu_s = 60,
		.address_space_bytes = UINT64_MAX,
		.is_selftest = true };
	struct sandbox_spec back;
	char text[SANDBOX_SPEC_TEXT_BYTES];

	sandbox_spec_format(&spec, text);
	CU_ASSERT_EQUAL(sandbox_spec_parse(text, &back, NULL), 0);
	CU_ASSERT_EQUAL(back.layers, spec.layers);
	CU_ASSERT_EQUAL(back.outer_uid, spec.outer_uid);
	CU_ASSERT_EQUAL(back.n_eventfds, spec.n_eventfds);
	CU_ASSERT_EQUAL(back.cpu_s, spec.cpu_s);
	CU_ASSERT_EQUAL(back.address_space_bytes, spec.address_space_bytes);
	CU_ASSERT(back.is_selftest);
}

static void a_malformed_spec_is_refused(void)
{
	static const char *const texts[] = { "", ",", "1,2,3,4,5", "1,2,3,4,5,1,", "1,2,3,4,5,2",
		"1,2,9,4,5,0", "1,2,0,4,5,0", "1,2,3,4,-5,0", "1,,3,4,5,0", "1024,2,3,4,5,0",
		"1, 2,3,4,5,0", "1,2,3,4,18446744073709551616,0" };
	struct sandbox_spec spec;

	CU_ASSERT_EQUAL(sandbox_spec_parse("1,2,3,4,5,0", &spec, NULL), 0);
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		CU_ASSERT_EQUAL(sandbox_spec_parse(texts[i], &spec, NULL), -1);
}

static void a_message_arrives_with_its_descriptors_or_not_at_all(void)
{
	int pair[2], fds[SANDBOX_WIRE_FDS], got[SANDBOX_WIRE_FDS];
	size_t n = 9;
	struct sandbox_wire sent = {
		.version = SANDBOX_WIRE_VERSION, .kind = SANDBOX_WIRE_KILL, .id = 77
	};
	struct sandbox_wire received;

	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	for (size_t i = 0; i < SANDBOX_WIRE_FDS; i++)
		fds[i] = STDIN_FILENO;
	CU_ASSERT_EQUAL(
		sandbox_wire_receive(pair[1], MSG_DONTWAIT, &received, got, &n), SANDBOX_WIRE_NONE);
	CU_ASSERT_EQUAL(n, 0);
	CU_ASSERT_EQUAL(sandbox_wire_send(pair[0], &sent, fds, SANDBOX_WIRE_FDS, 0, NULL), 0);
	CU_ASSERT_EQUAL(sandbox_wire_receive(pair[1], MSG_DONTWAIT, &received, got, &n),
		SANDBOX_WIRE_MESSAGE);
	CU_ASSERT_EQUAL(n, SANDBOX_WIRE_FDS);
	CU_ASSERT_EQUAL(received.id, 77);
	for (size_t i = 0; i < n; i++) {
		CU_ASSERT(fcntl(got[i], F_GETFD) & FD_CLOEXEC);
		(void)close(got[i]);
	}
	/* Another build's message, a short one, the end. */
	sent.version++;
	CU_ASSERT_EQUAL(sandbox_wire_send(pair[0], &sent, fds, 1, 0, NULL), 0);
	CU_ASSERT_EQUAL(sandbox_wire_receive(pair[1], MSG_DONTWAIT, &received, got, &n),
		SANDBOX_WIRE_CLOSED);
	CU_ASSERT_EQUAL(n, 0);
	CU_ASSERT_EQUAL(send(pair[0], "short", 5, 0), 5);
	CU_ASSERT_EQUAL(sandbox_wire_receive(pair[1], MSG_DONTWAIT, &received, got, &n),
		SANDBOX_WIRE_CLOSED);
	(void)close(pair[0]);
	CU_ASSERT_EQUAL(sandbox_wire_receive(pair[1], MSG_DONTWAIT, &received, got, &n),
		SANDBOX_WIRE_CLOSED);
	(void)close(pair[1]);
}

static void the_kernels_record_of_a_kill_is_read(void)
{
	struct sandbox_kills_record record = { 0, 0, 0 };

	CU_ASSERT(sandbox_kills_parse(
		BYTES("audit(1795446808.276:101): auid=4294967295 uid=1900000007 gid=0 "
		      "ses=4294967295 pid=1469 comm=\"tenon-worker\" exe=\"/x\" sig=31 "
		      "arch=c000003e syscall=41 compat=0 ip=0x7f code=0x80000000"),
		&record));
	CU_ASSERT_EQUAL(record.pid, 1469);
	CU_ASSERT_EQUAL(record.uid, 1900000007);
	CU_ASSERT_EQUAL(record.call, 41);
	CU_ASSERT(
		!sandbox_kills_parse(BYTES("audit(1.2:3): auid=1 uid=2 pid=3 syscall="), &record));
	CU_ASSERT(!sandbox_kills_parse(BYTES("audit(1.2:3): auid=1 pid=3 syscall=4"), &record));
	CU_ASSERT(!sandbox_kills_parse(BYTES(" uid=1 pid=99999999999 syscall=4"), &record));
	CU_ASSERT(!sandbox_kills_parse(BYTES(""), &record));
}

/* ---- the report ---- */

static void what_is_missing_decides(void)
{
	const uint32_t all = SANDBOX_BIT(SANDBOX_LAYERS) - 1;
	static const enum sandbox_layer needed[] = { SANDBOX_SECCOMP, SANDBOX_NO_NEW_PRIVS,
		SANDBOX_LANDLOCK, SANDBOX_MOUNT_NS, SANDBOX_PID_NS };
	struct sandbox_report report = { .layers = all, .is_root = true };
	uint32_t missing = 1;

	CU_ASSERT_EQUAL(sandbox_report_check(&report, 0, &missing), SANDBOX_FULL);
	CU_ASSERT_EQUAL(missing, 0);
	for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
		report.layers = all & ~SANDBOX_BIT(needed[i]);
		CU_ASSERT_EQUAL(sandbox_report_check(&report, all, &missing), SANDBOX_REFUSED);
		CU_ASSERT_EQUAL(missing, SANDBOX_BIT(needed[i]));
	}
	report.layers = all & ~SANDBOX_BIT(SANDBOX_CGROUP);
	CU_ASSERT_EQUAL(sandbox_report_check(&report, 0, &missing), SANDBOX_REFUSED);
	CU_ASSERT_EQUAL(sandbox_report_check(&report, SANDBOX_BIT(SANDBOX_CGROUP), &missing),
		SANDBOX_DEGRADED);
	report.layers = all & ~SANDBOX_BIT(SANDBOX_USER_NS);
	CU_ASSERT_EQUAL(sandbox_report_check(&report, all, &missing), SANDBOX_DEGRADED);
	report.is_root = false;
	CU_ASSERT_EQUAL(sandbox_report_check(&report, all, &missing), SANDBOX_REFUSED);
	/* Only told. */
	report.layers = all & ~SANDBOX_BIT(SANDBOX_MDWE) & ~SANDBOX_BIT(SANDBOX_UNIQUE_UID);
	CU_ASSERT_EQUAL(sandbox_report_check(&report, 0, &missing), SANDBOX_FULL);
	CU_ASSERT_NOT_EQUAL(missing, 0);
}

static void a_report_of_this_machine_can_be_shown(void)
{
	DEFER(bytes_buf_fini) struct bytes_buf out;
	struct sandbox_report report;

	bytes_buf_init(&out, 4096);
	sandbox_probe(&report);
	CU_ASSERT(report.layers & SANDBOX_BIT(SANDBOX_SECCOMP));
	CU_ASSERT(report.layers & SANDBOX_BIT(SANDBOX_NO_NEW_PRIVS));
	CU_ASSERT(sandbox_report_text(&report, &out));
	bytes_buf_clear(&out);
	CU_ASSERT(sandbox_report_json(&report, &out));
	CU_ASSERT(bytes_starts_with(bytes_buf_view(&out), BYTES("{\"kernel\":\"")));
	bytes_buf_clear(&out);
	CU_ASSERT(sandbox_report_line(&report, &out));
	CU_ASSERT(bytes_starts_with(bytes_buf_view(&out), BYTES("seccomp")));
	out.max = out.n;
	CU_ASSERT(!sandbox_report_line(&report, &out));
}

static void a_group_comes_goes_and_holds_its_limits(void)
{
	DEFER(sandbox_cgroup_close) struct sandbox_cgroup cgroup;
	const struct sandbox_cgroup_limits limits = { 32 << 20, 1, 50 };

	sandbox_cgroup_open(&cgroup);
	if (cgroup.kind == SANDBOX_CGROUP_NONE) {
		/* Nothing to be had here: nothing is made and nothing fails. */
		CU_ASSERT_EQUAL(sandbox_cgroup_make(&cgroup, 1, &limits, NULL), 0);
		return;
	}
	CU_ASSERT_EQUAL_FATAL(sandbox_cgroup_make(&cgroup, 1, &limits, NULL), 0);
	pid_t pid = fork();
	if (pid == 0)
		for (;;)
			(void)pause();
	CU_ASSERT_EQUAL(sandbox_cgroup_enter(&cgroup, 1, pid, NULL), 0);
	CU_ASSERT_EQUAL(sandbox_cgroup_oom_kills(&cgroup, 1), 0);
	/* Not while somebody is in it. */
	sandbox_cgroup_remove(&cgroup, 1);
	CU_ASSERT_EQUAL(sandbox_cgroup_enter(&cgroup, 1, pid, NULL), 0);
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	sandbox_cgroup_remove(&cgroup, 1);
	CU_ASSERT_EQUAL(sandbox_cgroup_enter(&cgroup, 1, getpid(), NULL), -1);
}

static const struct unit_test tests[] = {
#if defined(__x86_64__)
	UNIT(every_number_has_the_verdict_of_the_golden_table),
	UNIT(arguments_decide_as_in_the_golden_table),
	UNIT(a_soft_filter_allows_what_the_hard_one_allows_and_no_more),
	UNIT(the_spawner_lets_through_all_that_a_worker_may_do),
	UNIT(the_inspector_reads_its_input_and_writes_its_answer),
#endif
	UNIT(a_step_that_fails_names_itself_and_ends_the_process),
	UNIT(a_spec_survives_its_text),
	UNIT(a_malformed_spec_is_refused),
	UNIT(a_message_arrives_with_its_descriptors_or_not_at_all),
	UNIT(the_kernels_record_of_a_kill_is_read),
	UNIT(what_is_missing_decides),
	UNIT(a_report_of_this_machine_can_be_shown),
	UNIT(a_group_comes_goes_and_holds_its_limits),
};

UNIT_MAIN("sandbox", tests)
