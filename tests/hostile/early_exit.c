/* early_exit.c - leaves with status 0 in a constructor, before anybody asked for anything */
#include "sin.h"

#include <stdlib.h>

__attribute__((constructor)) static void leave(void)
{
	exit(0);
}

static int32_t commit(struct tenon_call *call)
{
	return answer(call, "{\"loaded\":true}");
}
