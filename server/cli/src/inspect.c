#include "inspect.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int sibling_path(const char *name, char *out, unsigned cap)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

	if (n < 0)
		return -1;
	self[n] = '\0';
	char *slash = strrchr(self, '/');
	if (!slash)
		return -1;
	*slash = '\0';
	int length = snprintf(out, cap, "%s/%s", self, name);
	return length < 0 || (unsigned)length >= cap ? -1 : 0;
}

static int become(const char *program, char *const *arguments)
{
	char path[PATH_MAX];

	if (sibling_path(program, path, sizeof path) < 0) {
		fprintf(stderr, "tenon: cannot find %s\n", program);
		return 1;
	}
	(void)execv(path, arguments);
	fprintf(stderr, "tenon: cannot run %s: %s\n", path, strerror(errno));
	return 1;
}

int inspect_run(const char *file)
{
	char name[] = "tenon-inspect", path[PATH_MAX];
	char *arguments[] = { name, path, NULL };

	if (strlen(file) >= sizeof path) {
		fprintf(stderr, "tenon: the path is too long\n");
		return 1;
	}
	memcpy(path, file, strlen(file) + 1);
	return become(name, arguments);
}

int verify_run(char *const *arguments)
{
	return become("tenon-verify", arguments);
}
