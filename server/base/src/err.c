#include "err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

int err_set(
	struct err *err, enum err_code code, const char *file, int line, const char *format, ...)
{
	int saved_errno = errno;
	va_list args;

	if (err) {
		err->code = code;
		err->os_errno = code == ERR_IO ? saved_errno : 0;
		err->file = file;
		err->line = line;
		va_start(args, format);
		(void)vsnprintf(err->message, sizeof err->message, format, args);
		va_end(args);
	}
	errno = saved_errno;
	return -1;
}

const char *err_name(enum err_code code)
{
	static const char *const names[] = {
		[ERR_NONE] = "none",
		[ERR_NOMEM] = "nomem",
		[ERR_IO] = "io",
		[ERR_CORRUPT] = "corrupt",
		[ERR_LIMIT] = "limit",
		[ERR_INVALID] = "invalid",
		[ERR_UNAVAILABLE] = "unavailable",
		[ERR_TIMEOUT] = "timeout",
		[ERR_STATE] = "state",
	};

	if ((size_t)code >= sizeof names / sizeof names[0] || !names[code])
		return "unknown";
	return names[code];
}
