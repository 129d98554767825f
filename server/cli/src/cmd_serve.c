/* tenon serve: the server, until a signal ends it. */
#include "args.h"
#include "commands.h"
#include "core.h"
#include "demo.h"

#include "bytes.h"
#include "clock.h"
#include "log.h"
#include "sandbox.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define DEFAULT_LISTEN "127.0.0.1:8090"
#define OPEN_FILES     65536

enum {
	OPTION_DATA,
	OPTION_LISTEN,
	OPTION_LOOPS,
	OPTION_DEMO,
	OPTION_LOG_LEVEL,
	OPTION_EGRESS_ALLOW,
	OPTION_MAIL_ALLOW,
	OPTION_FILES_LIMIT,
	OPTION_ALLOW_MISSING,
	OPTION_TRUSTED_PROXIES,
	OPTION_PROXY_HEADER,
	OPTION_CLIENTS,
	OPTION_ADDRESS_CLIENTS,
	OPTIONS
};

/* "127.0.0.1:8090", "[::1]:8090", ":8090". False when it is none. */
static bool parse_listen(const char *text, char address[static 64], uint16_t *ret_port)
{
	const char *colon = strrchr(text, ':');
	uint64_t port;

	if (!colon || !bytes_parse_u64(bytes_of(colon + 1), 65535, &port))
		return false;
	struct bytes host = { text, (size_t)(colon - text) };
	if (host.n >= 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
		host = (struct bytes){ host.p + 1, host.n - 2 };
	if (host.n == 0)
		host = BYTES("0.0.0.0");
	*ret_port = (uint16_t)port;
	return bytes_to_string(host, address, 64);
}

/* Connections, databases and workers each take descriptors; the usual 1,024 end too soon. */
static void raise_open_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max < OPEN_FILES ? limit.rlim_max : OPEN_FILES;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

/* Waits for SIGINT or SIGTERM; a second one while calls are finished ends the process at once. */
static void wait_for_signal(const sigset_t *signals)
{
	int signal_number = 0;

	while (sigwait(signals, &signal_number) != 0)
		;
	(void)signal(signal_number, SIG_DFL);
	(void)pthread_sigmask(SIG_UNBLOCK, signals, NULL);
}

/* "cgroup,user-namespace" as a mask of layers. False having told which word is none. */
static bool parse_layers(const char *text, uint32_t *ret_mask)
{
	struct bytes rest = bytes_of(text);

	*ret_mask = 0;
	while (rest.n > 0) {
		const char *comma = memchr(rest.p, ',', rest.n);
		struct bytes word = { rest.p, comma ? (size_t)(comma - rest.p) : rest.n };
		unsigned layer = 0;
		while (layer < SANDBOX_LAYERS &&
			!bytes_eq_string(word, sandbox_layer_name((enum sandbox_layer)layer)))
			layer++;
		if (layer == SANDBOX_LAYERS) {
			fprintf(stderr,
				"tenon: there is no sandbox layer '%.*s'; tenon doctor lists "
				"them\n",
				(int)word.n, word.p);
			return false;
		}
		*ret_mask |= SANDBOX_BIT(layer);
		rest = comma ? (struct bytes){ comma + 1, rest.n - word.n - 1 }
			     : (struct bytes){ 0 };
	}
	return true;
}

/* From 1 to a million. False having told which option is none. */
static bool parse_count(const char *text, const char *option, unsigned *ret)
{
	uint64_t n;

	if (!bytes_parse_u64(bytes_of(text), 1000000, &n) || n == 0) {
		fprintf(stderr, "tenon: %s is a number from 1 to 1000000\n", option);
		return false;
	}
	*ret = (unsigned)n;
	return true;
}

static bool parse_numbers(const struct args_option *options, struct core_config *config)
{
	uint64_t n_loops, files_mib;

	if (!bytes_parse_u64(bytes_of(options[OPTION_LOOPS].value), 7, &n_loops)) {
		fprintf(stderr, "tenon: --loops is a number from 0 to 7\n");
		return false;
	}
	config->n_loops = (unsigned)n_loops;
	if (!bytes_parse_u64(
		    bytes_of(options[OPTION_FILES_LIMIT].value), UINT64_MAX >> 20, &files_mib)) {
		fprintf(stderr, "tenon: --files-limit is a number of MiB\n");
		return false;
	}
	config->files_limit_bytes = files_mib << 20;
	return parse_count(options[OPTION_CLIENTS].value, "--realtime-clients",
		       &config->clients_per_tenant) &&
	       parse_count(options[OPTION_ADDRESS_CLIENTS].value, "--realtime-clients-per-address",
		       &config->clients_per_address);
}

static int serve(const struct core_config *config, bool is_demo)
{
	DEFER(core_close) struct core *core = NULL;
	char setup_token[AUTH_SECRET_HEX + 1] = "";
	struct deploy_self_test self_test;
	struct err err = { 0 };
	sigset_t signals;

	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGINT);
	(void)sigaddset(&signals, SIGTERM);
	(void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	raise_open_files();

	uint64_t began_ns = clock_mono_ns();
	if (core_open(config, &core, &err) < 0 || core_start(core, &err) < 0) {
		fprintf(stderr, "tenon: %s\n", err.message);
		return 1;
	}
	uint64_t ready_ns = clock_mono_ns() - began_ns;
	core_self_test(core, &self_test);
	if (self_test.complaint[0])
		fprintf(stderr, "tenon: no plugin will be started: %s\n", self_test.complaint);
	else if (core_deploy(core) && !self_test.has_run)
		fprintf(stderr,
			"tenon: the sandbox's self-test has not ended: no plugin is started "
			"before it has\n");
	if (auth_setup_is_needed(core_operators(core)))
		auth_setup_offer(core_operators(core), setup_token);

	if (is_demo) {
		if (demo_run(core, config->data_folder, ready_ns, setup_token) < 0)
			return 1;
	} else {
		printf("Tenon " CLI_VERSION
		       "  %s   ready in %.1f s   sandbox: %s; self-test %u/%u refused\n",
			core_url(core), (double)ready_ns / 1e9, self_test.layers,
			self_test.n_refused, self_test.n_attempts);
		if (setup_token[0])
			printf("console  %s/_/#setup=%s  (once, 15 min)\n", core_url(core),
				setup_token);
		else
			printf("console  %s/_/\n", core_url(core));
	}
	(void)fflush(stdout);

	wait_for_signal(&signals);
	fprintf(stderr, "tenon: finishing the calls in flight\n");
	if (!core_stop(core)) {
		fprintf(stderr, "tenon: some calls did not end in time\n");
		return 1;
	}
	return 0;
}

int command_serve(int argc, char **argv)
{
	struct args_option options[OPTIONS] = {
		[OPTION_DATA] = { "--data", "DIR", "where everything is kept", "tenon-data" },
		[OPTION_LISTEN] = { "--listen", "ADDR:PORT",
			"where to listen; port 0 is any free one", DEFAULT_LISTEN },
		[OPTION_LOOPS] = { "--loops", "N",
			"threads that serve connections, 1 to 7; 0: one per CPU", "0" },
		[OPTION_DEMO] = { "--demo", NULL,
			"make the demo tenant \"shop\" and print what to try", NULL },
		[OPTION_LOG_LEVEL] = { "--log-level", "LEVEL", "debug, info, warn or error",
			"info" },
		[OPTION_EGRESS_ALLOW] = { "--egress-allow", "NETS",
			"private networks that plugins' upstreams may be in: \"10.1.0.0/16:443 "
			"...\"",
			NULL },
		[OPTION_MAIL_ALLOW] = { "--mail-allow", "NETS",
			"private networks that tenants' mail servers may be in: "
			"\"10.2.0.5/32:587 ...\"",
			NULL },
		[OPTION_FILES_LIMIT] = { "--files-limit", "MIB",
			"what each tenant's files may take together, in MiB; 0: no limit", "0" },
		[OPTION_ALLOW_MISSING] = { "--allow-missing", "LAYERS",
			"sandbox layers that this machine may lack, as \"cgroup\"; never the ones "
			"that hold",
			NULL },
		[OPTION_TRUSTED_PROXIES] = { "--trusted-proxies", "NETS",
			"proxies in front whose word about a client's address is believed: "
			"\"10.1.0.0/16 ::1\"; default: none",
			NULL },
		[OPTION_PROXY_HEADER] = { "--trusted-proxy-header", "NAME",
			"the header in which they say it: X-Forwarded-For, X-Real-IP",
			"X-Forwarded-For" },
		[OPTION_CLIENTS] = { "--realtime-clients", "N",
			"clients that may listen to one tenant", "10000" },
		[OPTION_ADDRESS_CLIENTS] = { "--realtime-clients-per-address", "N",
			"and from one address, over all tenants", "1000" },
	};
	char address[64];
	enum log_level level;
	struct args args;

	if (!args_parse(argc, argv, options, OPTIONS, &args))
		return 2;
	if (args.wants_help || args.n_words > 0) {
		fprintf(args.wants_help ? stdout : stderr,
			"usage: tenon serve [--listen ADDR:PORT] [--data DIR]\n"
			"Serves until SIGINT or SIGTERM, then finishes the calls in flight.\n");
		args_print(options, OPTIONS);
		return args.wants_help ? 0 : 2;
	}
	struct core_config config = {
		.data_folder = options[OPTION_DATA].value,
		.address = address,
		.egress_allow = options[OPTION_EGRESS_ALLOW].value,
		.mail_allow = options[OPTION_MAIL_ALLOW].value,
		.trusted_proxies = options[OPTION_TRUSTED_PROXIES].value,
		.proxy_header = options[OPTION_PROXY_HEADER].value,
	};
	if (!parse_listen(options[OPTION_LISTEN].value, address, &config.port)) {
		fprintf(stderr, "tenon: --listen takes ADDRESS:PORT, as " DEFAULT_LISTEN
				" or [::1]:8090\n");
		return 2;
	}
	if (!parse_numbers(options, &config))
		return 2;
	if (!log_parse_level(bytes_of(options[OPTION_LOG_LEVEL].value), &level)) {
		fprintf(stderr, "tenon: --log-level is debug, info, warn or error\n");
		return 2;
	}
	if (options[OPTION_ALLOW_MISSING].value &&
		!parse_layers(options[OPTION_ALLOW_MISSING].value, &config.allow_missing))
		return 2;
	log_set_level(level);
	return serve(&config, options[OPTION_DEMO].value != NULL);
}
