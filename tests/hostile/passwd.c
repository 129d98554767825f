/* passwd.c - opens /etc/passwd, by every road that leads to a file */
#include "sin.h"

#include <fcntl.h>

static const char *const roads[] = { "/etc/passwd", "../etc/passwd", "/../../etc/passwd",
	"/proc/self/root/etc/passwd", "/proc/1/root/etc/passwd", "/dev/fd/0/../../etc/passwd" };

static int32_t commit(struct tenon_call *call)
{
	const size_t n_roads = sizeof roads / sizeof roads[0];
	size_t n_refused = 0, n_absent = 0;
	char text[96];

	for (size_t i = 0; i < n_roads; i++) {
		int fd = open(roads[i], O_RDONLY | O_CLOEXEC);
		n_refused += fd < 0;
		n_absent += fd < 0 && errno == ENOENT;
	}
	(void)snprintf(text, sizeof text, "{\"roads\":%zu,\"refused\":%zu,\"absent\":%zu}", n_roads,
		n_refused, n_absent);
	return answer(call, text);
}
