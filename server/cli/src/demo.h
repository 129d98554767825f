/*
 * demo.h - the demo tenant "shop": made over the server's own API, as anybody else would make one
 */
#ifndef CLI_DEMO_H
#define CLI_DEMO_H

#include "core.h"

/* Makes what is missing of the tenant, deploys its two plugins and prints the table of things to
 * try to stdout. The core has been started. ready_ns is how long that took; setup_token is "" when
 * there is an operator already. Returns 0, or -1 having told stderr. */
int demo_run(
	struct core *core, const char *data_folder, uint64_t ready_ns, const char *setup_token);

#endif
