/*
 * redirect.c - asks a declared upstream that sends it on to 127.0.0.1, where nothing is allowed
 *
 * The first question is answered in place: that the upstream can be reached at all, so that a
 * refusal of the second one is about the redirect.
 */
#include "sin.h"

static int32_t ask(struct tenon_call *call, struct tenon_str path, uint32_t *ret_status)
{
	const struct tenon_http_request request = {
		.size = sizeof request,
		.upstream = TENON_STR("canary"),
		.method = TENON_STR("GET"),
		.path = path,
	};
	struct tenon_http_response response = { .size = sizeof response };
	int32_t result = self.http->send(call, &request, &response);

	*ret_status = result == TENON_OK ? response.status : 0;
	return result;
}

static int32_t commit(struct tenon_call *call)
{
	const struct tenon_str direct = TENON_STR("/direct"), hop = TENON_STR("/hop/1");
	uint32_t direct_status, hop_status;
	char text[128];

	int32_t direct_result = ask(call, direct, &direct_status);
	int32_t hop_result = ask(call, hop, &hop_status);
	(void)snprintf(text, sizeof text,
		"{\"direct\":%d,\"directStatus\":%u,\"hop\":%d,\"hopStatus\":%u}", direct_result,
		direct_status, hop_result, hop_status);
	return answer(call, text);
}
