/* tenon operator upsert, tenon superuser upsert: accounts, made from the machine that runs the
 * server. */
#include "args.h"
#include "client.h"
#include "commands.h"

#include "text_json_writer.h"

#include <stdio.h>
#include <string.h>

#define BODY_MAX   4096
#define ANSWER_MAX (64 * 1024)

static int upsert(const char *who, int argc, char **argv, bool has_tenant)
{
	struct args_option options[] = {
		{ "--data", "DIR", "the server's data folder", "tenon-data" },
		{ "--json", NULL, "print the answer as JSON", NULL },
		{ "--tenant", "T", "the tenant", "default" },
	};
	size_t n_options = has_tenant ? 3 : 2;
	struct args args;

	if (!args_parse(argc, argv, options, n_options, &args))
		return 2;
	if (args.wants_help || args.n_words != 3 || strcmp(args.words[0], "upsert") != 0) {
		fprintf(args.wants_help ? stdout : stderr,
			"usage: tenon %s upsert EMAIL PASSWORD\n"
			"Creates the account, or gives an existing one a new password (10 "
			"characters or more).\n",
			who);
		args_print(options, n_options);
		return args.wants_help ? 0 : 2;
	}

	DEFER(bytes_buf_fini) struct bytes_buf body, answer;
	bytes_buf_init(&body, BODY_MAX);
	bytes_buf_init(&answer, ANSWER_MAX);
	struct text_json_writer json;
	text_json_writer_init(&json, &body);
	text_json_begin_object(&json);
	text_json_write_key(&json, BYTES("email"));
	text_json_write_string(&json, bytes_of(args.words[1]));
	text_json_write_key(&json, BYTES("password"));
	text_json_write_string(&json, bytes_of(args.words[2]));
	text_json_end_object(&json);

	char path[256];
	if (has_tenant)
		(void)snprintf(path, sizeof path, "/platform/tenants/%s/superusers",
			args_value(options, n_options, "--tenant"));
	else
		(void)snprintf(path, sizeof path, "/platform/operators");

	struct client client = { 0 };
	struct err err = { 0 };
	int status = 1;
	if (client_open(args_value(options, n_options, "--data"),
		    args_value(options, n_options, "--json") != NULL, &client, &err) < 0) {
		fprintf(stderr, "tenon: %s\n", err.message);
		return 1;
	}
	status = client_ask(&client, "PUT", path, bytes_buf_view(&body), &answer);
	if (status == 0 && client.wants_json)
		client_print(&client, bytes_buf_view(&answer), NULL, 0);
	else if (status == 0)
		printf("%s %s is ready to sign in\n", who, args.words[1]);
	client_close(&client);
	return status;
}

int command_operator(int argc, char **argv)
{
	return upsert("operator", argc, argv, false);
}

int command_superuser(int argc, char **argv)
{
	return upsert("superuser", argc, argv, true);
}
