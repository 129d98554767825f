/*
 * filter.c - the lists of system calls, and their compiler to BPF
 *
 * Why rows of a table and not calls of a builder: what a reviewer must judge is the list, so it
 * stands alone, in the order in which the kernel tries it. Calls of the hot path come first,
 * because classic BPF is a linear search (8 to 10 ns in all for the first rows, as measured).
 *
 * Every argument that a row tests is an int or a word of flags whose upper half the kernel ignores
 * or refuses, so the lower 32 bits are what the kernel itself acts on.
 */
#include "sandbox_filter.h"

#include <assert.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

_Static_assert(
	sizeof(struct sandbox_insn) == sizeof(struct sock_filter), "layout of an instruction");
_Static_assert(offsetof(struct sandbox_insn, k) == offsetof(struct sock_filter, k),
	"layout of an instruction");

#if defined(__x86_64__)
#define OWN_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OWN_ARCH AUDIT_ARCH_AARCH64
#else
#error "no system call list for this architecture"
#endif
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the lower half of an argument is read at its first byte"
#endif

/* x86-64 kernels offer a second set of calls, x32, with this bit in the number. */
#define X32_BIT 0x40000000u

enum test {
	ALWAYS,
	EQUAL,   /* (argument & mask) == value */
	ANY_BIT, /* (argument & mask) != 0 */
	OWN_PID  /* argument == the process's own id */
};

enum verdict {
	ALLOW,
	REFUSE /* the list's default: kill, or EPERM for a soft program */
};
/* Any other verdict is the errno that the call answers, harmlessly. */
#define ANSWER(number) (0x100 + (number))

struct row {
	int call;
	enum test test;
	unsigned arg; /* 0..5 */
	uint32_t mask, value;
	int verdict;
};

#define PLAIN(call)                                                                                \
	{                                                                                          \
		SYS_##call, ALWAYS, 0, 0, 0, ALLOW                                                 \
	}
#define SOFT(call, number)                                                                         \
	{                                                                                          \
		SYS_##call, ALWAYS, 0, 0, 0, ANSWER(number)                                        \
	}
#define FUTEX(operation)                                                                           \
	{                                                                                          \
		SYS_futex, EQUAL, 1, ~(uint32_t)(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME),       \
			operation, ALLOW                                                           \
	}

static const struct row worker_rows[] = {
	/* Sleeping and being woken, in shared memory too. No operation on priority inheritance: its
	 * code in the kernel has been a way in more than once, and nothing of ours needs it. */
	FUTEX(FUTEX_WAIT),
	FUTEX(FUTEX_WAKE),
	FUTEX(FUTEX_WAIT_BITSET),
	FUTEX(FUTEX_WAKE_BITSET),
	FUTEX(FUTEX_REQUEUE),
	FUTEX(FUTEX_CMP_REQUEUE),
	PLAIN(write),
	PLAIN(writev), /* the C library's last words: "stack smashing detected" goes out this way */
	PLAIN(clock_gettime),
	PLAIN(gettimeofday),
	PLAIN(rt_sigprocmask), /* each switch of a ucontext */
	/* Memory. Huge pages come from a pool of the whole machine, outside the worker's limits.
	 * What is executable is mapped as the loader does it: private, of a file, not writable. */
	{ SYS_mmap, ANY_BIT, 3, MAP_HUGETLB, 0, ANSWER(EACCES) },
	{ SYS_mmap, EQUAL, 2, PROT_EXEC, 0, ALLOW },
	{ SYS_mmap, ANY_BIT, 2, PROT_WRITE, 0, ANSWER(EACCES) },
	{ SYS_mmap, ANY_BIT, 3, MAP_ANONYMOUS | MAP_SHARED, 0, ANSWER(EACCES) },
	PLAIN(mmap),
	{ SYS_mprotect, ANY_BIT, 2, PROT_EXEC, 0, ANSWER(EACCES) },
	PLAIN(mprotect),
	PLAIN(munmap),
	PLAIN(brk),
	PLAIN(mremap),
	PLAIN(madvise),
	/* The loader, on a read-only root that holds one file. */
	PLAIN(openat),
	PLAIN(read),
	PLAIN(pread64),
	PLAIN(lseek),
	PLAIN(fstat),
	PLAIN(newfstatat),
	PLAIN(close),
	PLAIN(getrandom),
	PLAIN(clock_nanosleep),
	PLAIN(nanosleep),
	PLAIN(sched_yield),
	PLAIN(getpid),
	PLAIN(gettid),
	PLAIN(restart_syscall),
	PLAIN(rt_sigreturn),
	PLAIN(exit),
	PLAIN(exit_group),
	/* abort() signals itself and no one else. */
	{ SYS_tgkill, OWN_PID, 0, 0, 0, ALLOW },
	/* What the C library tries and can do without: an error is kinder than death. */
	SOFT(ioctl, ENOTTY),
#ifdef SYS_readlink
	SOFT(readlink, EACCES),
#endif
	SOFT(readlinkat, EACCES),
	SOFT(getcwd, EACCES),
	SOFT(uname, EPERM),
	SOFT(sysinfo, EPERM),
	SOFT(getuid, EPERM),
	SOFT(sched_getaffinity, EPERM),
	SOFT(prlimit64, EPERM),
	SOFT(rt_sigaction, EPERM),
	/* pthread_create and fork report failure: ENOSYS makes the C library fall back to clone. */
	SOFT(clone3, ENOSYS),
	SOFT(clone, EPERM),
};

/* The inspector has opened nothing and needs nothing but to read its input and to write its
 * verdict. */
static const struct row inspector_rows[] = {
	{ SYS_read, EQUAL, 0, UINT32_MAX, 0, ALLOW },
	{ SYS_pread64, EQUAL, 0, UINT32_MAX, 0, ALLOW },
	{ SYS_write, EQUAL, 0, UINT32_MAX, 1, ALLOW },
	{ SYS_write, EQUAL, 0, UINT32_MAX, 2, ALLOW },
	{ SYS_mmap, ANY_BIT, 2, PROT_EXEC, 0, REFUSE },
	{ SYS_mmap, ANY_BIT, 3, MAP_ANONYMOUS, 0, ALLOW },
	PLAIN(munmap),
	PLAIN(mremap),
	PLAIN(brk),
	PLAIN(madvise),
	PLAIN(getrandom), /* malloc, once */
	PLAIN(exit_group),
};

/* The spawner's own work, and under it all that a worker does before its own filter: the start of a
 * dynamically linked program and the steps of the sandbox. This filter stays on the worker, below
 * the worker's own; of two verdicts the kernel takes the stricter. */
static const struct row spawner_rows[] = {
	PLAIN(futex),
	PLAIN(write),
	PLAIN(writev),
	PLAIN(clock_gettime),
	PLAIN(gettimeofday),
	PLAIN(rt_sigprocmask),
	PLAIN(mmap),
	PLAIN(mprotect),
	PLAIN(munmap),
	PLAIN(brk),
	PLAIN(mremap),
	PLAIN(madvise),
	PLAIN(openat),
	PLAIN(read),
	PLAIN(pread64),
	PLAIN(lseek),
	PLAIN(fstat),
	PLAIN(newfstatat),
	PLAIN(close),
	PLAIN(getrandom),
	PLAIN(clock_nanosleep),
	PLAIN(nanosleep),
	PLAIN(sched_yield),
	PLAIN(getpid),
	PLAIN(gettid),
	PLAIN(restart_syscall),
	PLAIN(rt_sigreturn),
	PLAIN(exit),
	PLAIN(exit_group),
	PLAIN(tgkill),
	PLAIN(ioctl),
	PLAIN(readlinkat),
	PLAIN(getcwd),
	PLAIN(uname),
	PLAIN(sysinfo),
	PLAIN(getuid),
	PLAIN(geteuid),
	PLAIN(getgid),
	PLAIN(getegid),
	PLAIN(getppid),
	PLAIN(sched_getaffinity),
	PLAIN(prlimit64),
	PLAIN(rt_sigaction),
	/* start of a program */
	PLAIN(set_tid_address),
	PLAIN(set_robust_list),
	PLAIN(rseq),
	PLAIN(faccessat),
#ifdef __x86_64__
	PLAIN(readlink),
	PLAIN(access),
	PLAIN(arch_prctl),
	PLAIN(poll),
	PLAIN(mkdir),
	PLAIN(rmdir),
	PLAIN(dup2),
#endif
	/* the spawner's loop */
	PLAIN(ppoll),
	PLAIN(recvmsg),
	PLAIN(sendmsg),
	PLAIN(clone3),
	PLAIN(wait4),
	PLAIN(waitid),
	PLAIN(kill),
	PLAIN(pidfd_send_signal),
	PLAIN(pipe2),
	PLAIN(fcntl),
	PLAIN(dup3),
	PLAIN(close_range),
	PLAIN(getdents64),
	PLAIN(mkdirat),
	PLAIN(unlinkat),
	/* between clone and exec, and the steps of the sandbox */
	PLAIN(setsid),
	PLAIN(setgroups),
	PLAIN(setresgid),
	PLAIN(setresuid),
	PLAIN(execveat),
	PLAIN(prctl),
	PLAIN(capget),
	PLAIN(capset),
	PLAIN(umask),
	PLAIN(mount),
	PLAIN(umount2),
	PLAIN(pivot_root),
	PLAIN(chdir),
	PLAIN(fchmod),
	PLAIN(sendfile),
	PLAIN(landlock_create_ruleset),
	PLAIN(landlock_add_rule),
	PLAIN(landlock_restrict_self),
	PLAIN(seccomp),
};

#define LIST(rows)                                                                                 \
	{                                                                                          \
		(rows), sizeof(rows) / sizeof((rows)[0])                                           \
	}

static const struct {
	const struct row *rows;
	size_t n_rows;
} lists[SANDBOX_LISTS] = {
	[SANDBOX_LIST_WORKER] = LIST(worker_rows),
	[SANDBOX_LIST_SPAWNER] = LIST(spawner_rows),
	[SANDBOX_LIST_INSPECTOR] = LIST(inspector_rows),
};

static void emit(struct sandbox_program *program, uint16_t code, uint8_t jump_true,
	uint8_t jump_false, uint32_t k)
{
	assert(program->n_insns < SANDBOX_PROGRAM_INSNS);
	program->insns[program->n_insns++] =
		(struct sandbox_insn){ code, jump_true, jump_false, k };
}

static void emit_load(struct sandbox_program *program, size_t offset)
{
	emit(program, BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)offset);
}

static void emit_return(struct sandbox_program *program, uint32_t action)
{
	emit(program, BPF_RET | BPF_K, 0, 0, action);
}

static uint32_t action_of(int verdict, uint32_t refusal)
{
	if (verdict == ALLOW)
		return SECCOMP_RET_ALLOW;
	if (verdict == REFUSE)
		return refusal;
	return SECCOMP_RET_ERRNO | (uint32_t)(verdict - ANSWER(0));
}

/* One row: the test of its argument, then its verdict. The accumulator is free to be used, since a
 * group of rows never falls through to the next group. */
static void emit_row(
	struct sandbox_program *program, const struct row *row, uint32_t own_pid, uint32_t refusal)
{
	if (row->test != ALWAYS)
		emit_load(
			program, offsetof(struct seccomp_data, args) + sizeof(uint64_t) * row->arg);
	switch (row->test) {
	case ALWAYS:
		break;
	case EQUAL:
		if (row->mask != UINT32_MAX)
			emit(program, BPF_ALU | BPF_AND | BPF_K, 0, 0, row->mask);
		emit(program, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, row->value);
		break;
	case ANY_BIT:
		emit(program, BPF_JMP | BPF_JSET | BPF_K, 0, 1, row->mask);
		break;
	case OWN_PID:
		emit(program, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, own_pid);
		break;
	}
	emit_return(program, action_of(row->verdict, refusal));
}

void sandbox_filter_compile(
	enum sandbox_list list, uint32_t own_pid, bool is_soft, struct sandbox_program *ret)
{
	assert((size_t)list < SANDBOX_LISTS);
	const struct row *rows = lists[list].rows;
	size_t n_rows = lists[list].n_rows;
	uint32_t refusal = is_soft ? SECCOMP_RET_ERRNO | EPERM : SECCOMP_RET_KILL_PROCESS;

	ret->n_insns = 0;
	emit_load(ret, offsetof(struct seccomp_data, arch));
	emit(ret, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, OWN_ARCH);
	emit_return(ret, refusal);
	emit_load(ret, offsetof(struct seccomp_data, nr));
	emit(ret, BPF_JMP | BPF_JGE | BPF_K, 0, 1, X32_BIT);
	emit_return(ret, refusal);

	for (size_t i = 0; i < n_rows;) {
		size_t at = ret->n_insns;
		int call = rows[i].call;
		enum test last = ALWAYS;
		emit(ret, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, (uint32_t)call);
		for (; i < n_rows && rows[i].call == call; i++) {
			emit_row(ret, &rows[i], own_pid, refusal);
			last = rows[i].test;
		}
		if (last != ALWAYS)
			emit_return(ret, refusal);
		size_t group = ret->n_insns - at - 1;
		assert(group <= UINT8_MAX);
		ret->insns[at].jump_false = (uint8_t)group;
	}
	emit_return(ret, refusal);
}

int sandbox_filter_install(enum sandbox_list list, bool is_soft, struct err *err)
{
	struct sandbox_program program;

	sandbox_filter_compile(list, (uint32_t)getpid(), is_soft, &program);
	struct sock_fprog kernel_program = {
		.len = (unsigned short)program.n_insns,
		.filter = (struct sock_filter *)(void *)program.insns,
	};
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC,
		    &kernel_program))
		return ERR_SET(err, ERR_IO, "seccomp refused the filter");
	return 0;
}
