#include "landlock.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

struct ruleset {
	uint64_t fs, net, scoped;
};

/* What each version of the kernel's interface added. */
static const struct {
	int abi;
	size_t size; /* of the ruleset that this version reads */
	struct ruleset rights;
} versions[] = {
	{ 1, 8, { .fs = 0x1fff } },                             /* files and folders */
	{ 2, 8, { .fs = 0x3fff } },                             /* linking across folders */
	{ 3, 8, { .fs = 0x7fff } },                             /* truncate */
	{ 4, 16, { .fs = 0x7fff, .net = 0x3 } },                /* TCP bind and connect */
	{ 5, 16, { .fs = 0xffff, .net = 0x3 } },                /* ioctl of devices */
	{ 6, 24, { .fs = 0xffff, .net = 0x3, .scoped = 0x3 } }, /* abstract sockets, signals */
};

int landlock_abi(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	return abi > 0 ? (int)abi : 0;
}

static int allow_reading(int ruleset, const char *path, struct err *err)
{
	int fd = open(path, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return ERR_SET(err, ERR_IO, "cannot open %s", path);
	struct landlock_path_beneath_attr rule = {
		.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE,
		.parent_fd = fd,
	};
	long failed = syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
	if (failed)
		(void)ERR_SET(err, ERR_IO, "cannot allow reading %s", path);
	(void)close(fd);
	return failed ? -1 : 0;
}

int landlock_restrict(const char *readable_path, int *ret_abi, struct err *err)
{
	int abi = landlock_abi();
	if (abi == 0)
		return ERR_SET(err, ERR_UNAVAILABLE, "the kernel has no Landlock");
	size_t last = sizeof versions / sizeof versions[0] - 1;
	while (versions[last].abi > abi)
		last--;

	int ruleset = (int)syscall(
		SYS_landlock_create_ruleset, &versions[last].rights, versions[last].size, 0);
	if (ruleset < 0)
		return ERR_SET(err, ERR_IO, "cannot create a ruleset");
	int result = readable_path ? allow_reading(ruleset, readable_path, err) : 0;
	if (result == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0))
		result = ERR_SET(err, ERR_IO, "cannot restrict this process");
	(void)close(ruleset);
	if (result == 0 && ret_abi)
		*ret_abi = abi;
	return result;
}
