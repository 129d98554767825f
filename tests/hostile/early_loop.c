/* early_loop.c - loops for ever in a constructor */
#include "sin.h"

__attribute__((constructor)) static void loop(void)
{
	volatile int forever = 1;

	while (forever)
		;
}

static int32_t commit(struct tenon_call *call)
{
	return answer(call, "{\"loaded\":true}");
}
