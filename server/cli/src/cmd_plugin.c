/* tenon plugin deploy|list|show|check|rollback|disable|enable */
#include "args.h"
#include "client.h"
#include "commands.h"
#include "inspect.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ANSWER_MAX        (8u << 20)
#define PLUGIN_FILE_MAX   (64u << 20)
#define DEPLOY_TIMEOUT_MS 60000

enum { OPTION_DATA, OPTION_JSON, OPTION_TENANT, OPTION_GRANT_ALL, OPTION_WAIT, OPTIONS };

static int read_file(const char *path, struct bytes_buf *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = -1;

	if (fd >= 0) {
		char *to;
		while ((to = bytes_buf_reserve(out, 65536)) && (got = read(fd, to, 65536)) > 0)
			out->n += (size_t)got;
		if (!to) {
			fprintf(stderr, "tenon: %s is larger than %u MiB\n", path,
				PLUGIN_FILE_MAX >> 20);
			(void)close(fd);
			return -1;
		}
		(void)close(fd);
	}
	if (got < 0) {
		fprintf(stderr, "tenon: cannot read %s: %s\n", path, strerror(errno));
		return -1;
	}
	return 0;
}

static int deploy(struct client *client, const struct args *args, const struct args_option *options)
{
	static const char *const columns[] = { "tenant", "id", "version", "state", "sha256" };
	DEFER(bytes_buf_fini) struct bytes_buf file, answer;
	char path[256];

	bytes_buf_init(&file, PLUGIN_FILE_MAX + 65536);
	bytes_buf_init(&answer, ANSWER_MAX);
	if (read_file(args->words[1], &file) < 0)
		return 1;
	(void)snprintf(path, sizeof path, "/platform/tenants/%s/plugins%s",
		options[OPTION_TENANT].value, options[OPTION_GRANT_ALL].value ? "?grantAll=1" : "");
	int status = client_send(client, "POST", path, "application/octet-stream",
		bytes_buf_view(&file), DEPLOY_TIMEOUT_MS, &answer);
	if (status == 0)
		client_print(client, bytes_buf_view(&answer), columns, 5);
	return status;
}

static int list(struct client *client, const char *tenant)
{
	static const char *const columns[] = { "tenant", "id", "version", "state", "calls",
		"errors", "crashes", "denials" };
	DEFER(bytes_buf_fini) struct bytes_buf answer;
	char path[256];

	bytes_buf_init(&answer, ANSWER_MAX);
	(void)snprintf(path, sizeof path, "/platform/plugins%s%s", tenant ? "?tenant=" : "",
		tenant ? tenant : "");
	int status = client_ask(client, "GET", path, (struct bytes){ 0 }, &answer);
	if (status == 0)
		client_print(client, bytes_buf_view(&answer), columns, 8);
	return status;
}

static int act(struct client *client, const char *verb, const char *plugin, const char *tenant)
{
	static const char *const columns[] = { "tenant", "id", "version", "state", "sha256",
		"message" };
	DEFER(bytes_buf_fini) struct bytes_buf answer;
	char path[256];
	bool is_show = strcmp(verb, "show") == 0;

	bytes_buf_init(&answer, ANSWER_MAX);
	(void)snprintf(path, sizeof path, "/platform/tenants/%s/plugins/%s%s%s", tenant, plugin,
		is_show ? "" : "/", is_show ? "" : verb);
	int status = client_send(client, is_show ? "GET" : "POST", path,
		is_show ? NULL : "application/json", is_show ? (struct bytes){ 0 } : BYTES("{}"),
		DEPLOY_TIMEOUT_MS, &answer);
	if (status == 0)
		client_print(client, bytes_buf_view(&answer), columns, 6);
	return status;
}

static void usage(FILE *to)
{
	fprintf(to,
		"usage: tenon plugin deploy FILE      verifies, probes and switches to a plugin "
		"file\n"
		"       tenon plugin list [--tenant T]\n"
		"       tenon plugin show NAME          version, state, last refusal or crash\n"
		"       tenon plugin check FILE         what a deployment would refuse, without a "
		"server\n"
		"       tenon plugin rollback NAME      back to the version before\n"
		"       tenon plugin disable NAME       its routes answer 503 until enabled\n"
		"       tenon plugin enable NAME        serves again, also out of quarantine\n"
		"deploy ends when every call that begins later is served by the new version.\n");
}

int command_plugin(int argc, char **argv)
{
	struct args_option options[OPTIONS] = {
		[OPTION_DATA] = { "--data", "DIR", "the server's data folder", "tenon-data" },
		[OPTION_JSON] = { "--json", NULL, "print the answer as JSON", NULL },
		[OPTION_TENANT] = { "--tenant", "T",
			"the tenant; without it \"default\", for list all", NULL },
		[OPTION_GRANT_ALL] = { "--grant-all", NULL, "grant all that the manifest asks for",
			NULL },
		[OPTION_WAIT] = { "--wait", NULL, "wait until it serves; deploy always does",
			NULL },
	};
	static const char *const with_word[] = { "deploy", "show", "check", "rollback", "disable",
		"enable" };
	struct args args;
	bool is_known = false;

	if (!args_parse(argc, argv, options, OPTIONS, &args))
		return 2;
	const char *verb = args.n_words ? args.words[0] : "";
	for (size_t i = 0; i < sizeof with_word / sizeof with_word[0]; i++)
		is_known |= strcmp(verb, with_word[i]) == 0 && args.n_words == 2;
	is_known |= strcmp(verb, "list") == 0 && args.n_words == 1;
	if (args.wants_help || !is_known) {
		usage(args.wants_help ? stdout : stderr);
		if (args.wants_help)
			args_print(options, OPTIONS);
		return args.wants_help ? 0 : 2;
	}
	if (strcmp(verb, "check") == 0)
		return inspect_run(args.words[1]);

	struct client client = { 0 };
	struct err err = { 0 };
	if (client_open(options[OPTION_DATA].value, options[OPTION_JSON].value != NULL, &client,
		    &err) < 0) {
		fprintf(stderr, "tenon: %s\n", err.message);
		return 1;
	}
	int status;
	if (client.own) {
		fprintf(stderr, "tenon: no server runs on %s, and plugins need one: tenon serve\n",
			options[OPTION_DATA].value);
		status = 1;
	} else if (strcmp(verb, "list") == 0) {
		status = list(&client, options[OPTION_TENANT].value);
	} else {
		if (!options[OPTION_TENANT].value)
			options[OPTION_TENANT].value = "default";
		status = strcmp(verb, "deploy") == 0
				 ? deploy(&client, &args, options)
				 : act(&client, verb, args.words[1], options[OPTION_TENANT].value);
	}
	client_close(&client);
	return status;
}
