/* early_socket.c - asks for a socket in a constructor: the filter must be there before the file */
#include "sin.h"

#include <sys/socket.h>

__attribute__((constructor)) static void ask(void)
{
	(void)socket(AF_INET, SOCK_STREAM, 0);
}

static int32_t commit(struct tenon_call *call)
{
	return answer(call, "{\"loaded\":true}");
}
