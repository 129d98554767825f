#include "sandbox_report.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "landlock.h"
#include "sandbox_cgroup.h"
#include "sandbox_filter.h"

#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#endif

/* ---- trying, each time in a child that answers with its exit status ---- */

static bool holds_in_child(bool (*try)(void))
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		/* Straight to the kernel: a sanitizer's _exit makes calls that the filter refuses.
		 */
		(void)syscall(SYS_exit_group, try() ? 0 : 1);
	}
	if (pid < 0)
		return false;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return false;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool try_no_new_privs(void)
{
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1;
}

/* The soft filter is asked for something it refuses. */
static bool try_seccomp(void)
{
	if (!try_no_new_privs() || sandbox_filter_install(SANDBOX_LIST_INSPECTOR, true, NULL))
		return false;
	errno = 0;
	return syscall(SYS_getppid) == -1 && errno == EPERM;
}

static bool try_landlock(void)
{
	if (!try_no_new_privs() || landlock_restrict(NULL, NULL, NULL))
		return false;
	int fd = open("/", O_RDONLY | O_DIRECTORY);
	return fd < 0 && errno == EACCES;
}

static bool try_mdwe(void)
{
	return prctl(PR_SET_MDWE, 1, 0, 0, 0) == 0;
}

static bool write_proc(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool is_written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	if (fd >= 0)
		(void)close(fd);
	return is_written;
}

static bool try_user_ns(void)
{
	char map[32];
	uid_t uid = geteuid();
	gid_t gid = getegid();

	if (unshare(CLONE_NEWUSER) || !write_proc("/proc/self/setgroups", "deny"))
		return false;
	(void)snprintf(map, sizeof map, "0 %u 1", (unsigned)uid);
	if (!write_proc("/proc/self/uid_map", map))
		return false;
	(void)snprintf(map, sizeof map, "0 %u 1", (unsigned)gid);
	return write_proc("/proc/self/gid_map", map) && getuid() == 0;
}

/* The other namespaces need a capability: one's own, or that of a user namespace. */
static bool is_capable(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { { 0 } };

	return syscall(SYS_capget, &header, data) == 0 && (data[0].effective & 1u << CAP_SYS_ADMIN);
}

static bool become_capable(void)
{
	return is_capable() || try_user_ns();
}

static bool try_mount_ns(void)
{
	return become_capable() && unshare(CLONE_NEWNS) == 0 &&
	       mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("none", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "size=65536") == 0;
}

static bool try_pid_ns(void)
{
	return become_capable() && unshare(CLONE_NEWPID) == 0;
}

static bool try_net_ns(void)
{
	return become_capable() && unshare(CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) == 0;
}

/* ---- reading what the kernel says of itself ---- */

static bool read_line(const char *path, char *out, size_t cap)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, out, cap - 1) : -1;
	if (fd >= 0)
		(void)close(fd);
	if (n <= 0)
		return false;
	out[n] = '\0';
	out[strcspn(out, "\n")] = '\0';
	return true;
}

static int32_t read_setting(const char *path)
{
	char text[32];
	uint64_t value = 0;

	if (!read_line(path, text, sizeof text) ||
		!bytes_parse_u64(bytes_of(text), INT32_MAX, &value))
		return -1;
	return (int32_t)value;
}

static void read_vulnerabilities(char *out, size_t cap)
{
	static const char folder[] = "/sys/devices/system/cpu/vulnerabilities";
	DIR *entries = opendir(folder);
	size_t n = 0;

	out[0] = '\0';
	if (!entries)
		return;
	for (struct dirent *entry; (entry = readdir(entries));) {
		char path[sizeof folder + sizeof entry->d_name + 1], text[128];
		(void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
		size_t length = strlen(entry->d_name);
		if (!read_line(path, text, sizeof text) ||
			!bytes_starts_with(bytes_of(text), BYTES("Vulnerable")) ||
			length + 2 > cap - n)
			continue;
		n += (size_t)snprintf(out + n, cap - n, "%s%s", n ? " " : "", entry->d_name);
	}
	(void)closedir(entries);
}

/* Only root over the whole range of ids can give each worker one of its own. */
static bool has_all_ids(void)
{
	char text[64];
	unsigned first = 1, outer = 1, count = 0;

	return geteuid() == 0 && is_capable() &&
	       read_line("/proc/self/uid_map", text, sizeof text) &&
	       sscanf(text, "%u %u %u", &first, &outer, &count) == 3 && first == 0 && outer == 0 &&
	       count == UINT32_MAX;
}

void sandbox_probe(struct sandbox_report *ret)
{
	static const struct {
		enum sandbox_layer layer;
		bool (*try)(void);
	} tries[] = {
		{ SANDBOX_SECCOMP, try_seccomp },
		{ SANDBOX_NO_NEW_PRIVS, try_no_new_privs },
		{ SANDBOX_LANDLOCK, try_landlock },
		{ SANDBOX_MOUNT_NS, try_mount_ns },
		{ SANDBOX_PID_NS, try_pid_ns },
		{ SANDBOX_NET_NS, try_net_ns },
		{ SANDBOX_USER_NS, try_user_ns },
		{ SANDBOX_MDWE, try_mdwe },
	};
	struct utsname name;
	DEFER(sandbox_cgroup_close) struct sandbox_cgroup cgroup;

	*ret = (struct sandbox_report){ .is_root = has_all_ids() };
	for (size_t i = 0; i < sizeof tries / sizeof tries[0]; i++)
		if (holds_in_child(tries[i].try))
			ret->layers |= SANDBOX_BIT(tries[i].layer);
	if (ret->is_root)
		ret->layers |= SANDBOX_BIT(SANDBOX_UNIQUE_UID);
	ret->landlock_abi = landlock_abi();

	sandbox_cgroup_open(&cgroup);
	ret->cgroup_kind = cgroup.kind;
	ret->has_cgroup_memory = cgroup.parent[SANDBOX_MEMORY] >= 0;
	ret->has_cgroup_pids = cgroup.parent[SANDBOX_PIDS] >= 0;
	ret->has_cgroup_cpu = cgroup.parent[SANDBOX_CPU] >= 0;
	if (cgroup.kind != SANDBOX_CGROUP_NONE)
		ret->layers |= SANDBOX_BIT(SANDBOX_CGROUP);

	ret->yama_ptrace_scope = read_setting("/proc/sys/kernel/yama/ptrace_scope");
	ret->unprivileged_bpf_disabled = read_setting("/proc/sys/kernel/unprivileged_bpf_disabled");
	ret->io_uring_disabled = read_setting("/proc/sys/kernel/io_uring_disabled");
	ret->smt_active = read_setting("/sys/devices/system/cpu/smt/active");
	read_vulnerabilities(ret->vulnerabilities, sizeof ret->vulnerabilities);
	if (uname(&name) == 0)
		(void)snprintf(ret->kernel, sizeof ret->kernel, "%.63s", name.release);
}

/* ---- judging ---- */

enum sandbox_verdict sandbox_report_check(
	const struct sandbox_report *report, uint32_t allow_missing, uint32_t *ret_missing)
{
	static const uint32_t never = SANDBOX_BIT(SANDBOX_SECCOMP) |
				      SANDBOX_BIT(SANDBOX_NO_NEW_PRIVS) |
				      SANDBOX_BIT(SANDBOX_LANDLOCK) |
				      SANDBOX_BIT(SANDBOX_MOUNT_NS) | SANDBOX_BIT(SANDBOX_PID_NS);
	/* An ordinary user has one id to give: kill and ptrace are refused by the filter and the
	 * pid namespaces all the same. MDWE stops bugs, not attacks. Both are only reported. */
	static const uint32_t reported =
		SANDBOX_BIT(SANDBOX_MDWE) | SANDBOX_BIT(SANDBOX_UNIQUE_UID);
	uint32_t all = SANDBOX_BIT(SANDBOX_LAYERS) - 1;
	uint32_t missing = all & ~report->layers;

	*ret_missing = missing;
	missing &= ~reported;
	/* Without a user namespace only root can change its identity. */
	if (missing & SANDBOX_BIT(SANDBOX_USER_NS) && !report->is_root)
		return SANDBOX_REFUSED;
	if (missing & (never | ~allow_missing))
		return SANDBOX_REFUSED;
	return missing ? SANDBOX_DEGRADED : SANDBOX_FULL;
}

/* ---- showing ---- */

static const char *cgroup_name(const struct sandbox_report *report)
{
	return report->cgroup_kind == SANDBOX_CGROUP_V1   ? "v1"
	       : report->cgroup_kind == SANDBOX_CGROUP_V2 ? "v2"
							  : "none";
}

bool sandbox_report_line(const struct sandbox_report *report, struct bytes_buf *out)
{
	static const struct {
		uint32_t layers;
		const char *name;
	} words[] = {
		{ SANDBOX_BIT(SANDBOX_SECCOMP), "seccomp" },
		{ SANDBOX_BIT(SANDBOX_LANDLOCK), "landlock" },
		{ SANDBOX_BIT(SANDBOX_MOUNT_NS) | SANDBOX_BIT(SANDBOX_PID_NS) |
				SANDBOX_BIT(SANDBOX_NET_NS) | SANDBOX_BIT(SANDBOX_USER_NS),
			"namespaces" },
		{ SANDBOX_BIT(SANDBOX_CGROUP), "cgroup" },
	};
	bool is_first = true;

	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if ((report->layers & words[i].layers) == words[i].layers) {
			(void)bytes_buf_appendf(out, "%s%s", is_first ? "" : ", ", words[i].name);
			is_first = false;
		}
	return !out->failed;
}

struct setting {
	const char *name;
	int32_t value;
};

#define SETTINGS 4

static void settings_of(const struct sandbox_report *report, struct setting out[static SETTINGS])
{
	out[0] = (struct setting){ "yama.ptrace_scope", report->yama_ptrace_scope };
	out[1] = (struct setting){ "kernel.unprivileged_bpf_disabled",
		report->unprivileged_bpf_disabled };
	out[2] = (struct setting){ "kernel.io_uring_disabled", report->io_uring_disabled };
	out[3] = (struct setting){ "smt.active", report->smt_active };
}

bool sandbox_report_text(const struct sandbox_report *report, struct bytes_buf *out)
{
	struct setting settings[SETTINGS];

	(void)bytes_buf_appendf(out, "%-34s %s\n", "kernel", report->kernel);
	for (size_t i = 0; i < SANDBOX_LAYERS; i++) {
		enum sandbox_layer layer = (enum sandbox_layer)i;
		bool has = report->layers & SANDBOX_BIT(layer);
		(void)bytes_buf_appendf(
			out, "%-34s %s", sandbox_layer_name(layer), has ? "yes" : "no");
		if (layer == SANDBOX_LANDLOCK)
			(void)bytes_buf_appendf(out, " (version %d)", (int)report->landlock_abi);
		if (layer == SANDBOX_CGROUP)
			(void)bytes_buf_appendf(out, " (%s; memory %s, pids %s, cpu %s)",
				cgroup_name(report), report->has_cgroup_memory ? "yes" : "no",
				report->has_cgroup_pids ? "yes" : "no",
				report->has_cgroup_cpu ? "yes" : "no");
		(void)bytes_buf_append_byte(out, '\n');
	}
	settings_of(report, settings);
	for (size_t i = 0; i < SETTINGS; i++)
		if (settings[i].value < 0)
			(void)bytes_buf_appendf(out, "%-34s absent\n", settings[i].name);
		else
			(void)bytes_buf_appendf(
				out, "%-34s %d\n", settings[i].name, (int)settings[i].value);
	(void)bytes_buf_appendf(out, "%-34s %s\n", "processor vulnerabilities",
		report->vulnerabilities[0] ? report->vulnerabilities : "none reported");
	(void)bytes_buf_append_string(
		out, "side channels between tenants on a shared processor are not mitigated\n");
	return !out->failed;
}

/* Names from /sys are letters, digits and underscores, but nothing is taken on trust into JSON. */
static void append_plain(struct bytes_buf *out, const char *text)
{
	(void)bytes_buf_append_byte(out, '"');
	for (; *text; text++)
		if (*text >= ' ' && *text < 0x7f && *text != '"' && *text != '\\')
			(void)bytes_buf_append_byte(out, *text);
	(void)bytes_buf_append_byte(out, '"');
}

bool sandbox_report_json(const struct sandbox_report *report, struct bytes_buf *out)
{
	struct setting settings[SETTINGS];

	(void)bytes_buf_append_string(out, "{\"kernel\":");
	append_plain(out, report->kernel);
	(void)bytes_buf_append_string(out, ",\"layers\":{");
	for (size_t i = 0; i < SANDBOX_LAYERS; i++)
		(void)bytes_buf_appendf(out, "%s\"%s\":%s", i ? "," : "",
			sandbox_layer_name((enum sandbox_layer)i),
			report->layers & SANDBOX_BIT(i) ? "true" : "false");
	(void)bytes_buf_appendf(out, "},\"landlockVersion\":%d,\"cgroup\":\"%s\",\"settings\":{",
		(int)report->landlock_abi, cgroup_name(report));
	settings_of(report, settings);
	for (size_t i = 0; i < SETTINGS; i++) {
		(void)bytes_buf_appendf(out, "%s\"%s\":", i ? "," : "", settings[i].name);
		if (settings[i].value < 0)
			(void)bytes_buf_append_string(out, "null");
		else
			(void)bytes_buf_appendf(out, "%d", (int)settings[i].value);
	}
	(void)bytes_buf_append_string(out, "},\"vulnerabilities\":");
	append_plain(out, report->vulnerabilities);
	(void)bytes_buf_append_string(out, "}");
	return !out->failed;
}
