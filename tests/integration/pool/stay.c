/* stay.c - its route does not come back before its deadline, and its process not at all */
#include "../../hostile/sin.h"

#include <time.h>

static int32_t commit(struct tenon_call *call)
{
	const struct timespec minute = { .tv_sec = 60 };

	(void)nanosleep(&minute, NULL);
	return answer(call, "{}");
}
