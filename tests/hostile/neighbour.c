/* neighbour.c - no sin: what the other tenant runs, and must not notice anything */
#include "sin.h"

static int32_t commit(struct tenon_call *call)
{
	return answer(call, "{\"sin\":false}");
}
