/* tenon tenant create|list|suspend|resume */
#include "args.h"
#include "client.h"
#include "commands.h"

#include "text_json_writer.h"

#include <stdio.h>
#include <string.h>

#define ANSWER_MAX (8u << 20)

static int run(struct client *client, const struct args *args)
{
	static const char *const columns[] = { "name", "state", "created" };
	DEFER(bytes_buf_fini) struct bytes_buf body, answer;
	const char *verb = args->words[0];
	char path[256];
	int status;

	bytes_buf_init(&body, 1024);
	bytes_buf_init(&answer, ANSWER_MAX);
	if (strcmp(verb, "list") == 0) {
		status = client_ask(
			client, "GET", "/platform/tenants", (struct bytes){ 0 }, &answer);
	} else if (strcmp(verb, "create") == 0) {
		struct text_json_writer json;
		text_json_writer_init(&json, &body);
		text_json_begin_object(&json);
		text_json_write_key(&json, BYTES("name"));
		text_json_write_string(&json, bytes_of(args->words[1]));
		text_json_end_object(&json);
		status = client_ask(
			client, "POST", "/platform/tenants", bytes_buf_view(&body), &answer);
	} else {
		(void)snprintf(path, sizeof path, "/platform/tenants/%s/%s", args->words[1], verb);
		status = client_ask(client, "POST", path, BYTES("{}"), &answer);
	}
	if (status == 0)
		client_print(client, bytes_buf_view(&answer), columns, 3);
	return status;
}

int command_tenant(int argc, char **argv)
{
	struct args_option options[] = {
		{ "--data", "DIR", "the server's data folder", "tenon-data" },
		{ "--json", NULL, "print the answer as JSON", NULL },
	};
	struct args args;
	struct client client = { 0 };
	struct err err = { 0 };

	if (!args_parse(argc, argv, options, 2, &args))
		return 2;
	const char *verb = args.n_words ? args.words[0] : "";
	bool has_name = strcmp(verb, "create") == 0 || strcmp(verb, "suspend") == 0 ||
			strcmp(verb, "resume") == 0;
	if (args.wants_help || !(has_name || strcmp(verb, "list") == 0) ||
		args.n_words != (has_name ? 2u : 1u)) {
		fprintf(args.wants_help ? stdout : stderr,
			"usage: tenon tenant create NAME    a tenant of its own: data, users, "
			"plugins\n"
			"       tenon tenant list\n"
			"       tenon tenant suspend NAME   its requests answer 503 until resumed\n"
			"       tenon tenant resume NAME\n"
			"A name is 2 to 31 of a-z, 0-9 and '-', beginning with a letter.\n");
		args_print(options, 2);
		return args.wants_help ? 0 : 2;
	}
	if (client_open(options[0].value, options[1].value != NULL, &client, &err) < 0) {
		fprintf(stderr, "tenon: %s\n", err.message);
		return 1;
	}
	int status = run(&client, &args);
	client_close(&client);
	return status;
}
