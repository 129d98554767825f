/* tenon tenant create|list|suspend|resume|web */
#include "args.h"
#include "client.h"
#include "commands.h"

#include "text_json_writer.h"

#include <stdio.h>
#include <string.h>

#define ANSWER_MAX (8u << 20)

enum { OPTION_DATA, OPTION_JSON, OPTION_HOSTS, OPTION_ORIGINS, OPTIONS };

/* "a b" as the member key of json. */
static void write_words(struct text_json_writer *json, const char *key, const char *words)
{
	struct bytes rest = bytes_of(words);

	text_json_write_key(json, bytes_of(key));
	text_json_begin_array(json);
	while (rest.n > 0) {
		const char *space = memchr(rest.p, ' ', rest.n);
		struct bytes word = { rest.p, space ? (size_t)(space - rest.p) : rest.n };
		rest = space ? (struct bytes){ space + 1, rest.n - word.n - 1 }
			     : (struct bytes){ 0 };
		if (word.n > 0)
			text_json_write_string(json, word);
	}
	text_json_end_array(json);
}

static int set_web(struct client *client, const struct args *args,
	const struct args_option *options, struct bytes_buf *answer)
{
	DEFER(bytes_buf_fini) struct bytes_buf body;
	struct text_json_writer json;
	char path[256];

	bytes_buf_init(&body, 16384);
	text_json_writer_init(&json, &body);
	text_json_begin_object(&json);
	write_words(&json, "hosts", options[OPTION_HOSTS].value);
	write_words(&json, "origins", options[OPTION_ORIGINS].value);
	text_json_end_object(&json);
	(void)snprintf(path, sizeof path, "/platform/tenants/%s/web", args->words[1]);
	return client_ask(client, "PUT", path, bytes_buf_view(&body), answer);
}

static int run(struct client *client, const struct args *args, const struct args_option *options)
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
	} else if (strcmp(verb, "web") == 0) {
		status = set_web(client, args, options, &answer);
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
	struct args_option options[OPTIONS] = {
		[OPTION_DATA] = { "--data", "DIR", "the server's data folder", "tenon-data" },
		[OPTION_JSON] = { "--json", NULL, "print the answer as JSON", NULL },
		[OPTION_HOSTS] = { "--hosts", "NAMES",
			"of web: the tenant's own host names, \"app.example.org ...\"", "" },
		[OPTION_ORIGINS] = { "--origins", "LIST",
			"of web: whose pages may call it, \"https://app.example.org ...\"; none: "
			"any",
			"" },
	};
	struct args args;
	struct client client = { 0 };
	struct err err = { 0 };

	if (!args_parse(argc, argv, options, OPTIONS, &args))
		return 2;
	const char *verb = args.n_words ? args.words[0] : "";
	bool has_name = strcmp(verb, "create") == 0 || strcmp(verb, "suspend") == 0 ||
			strcmp(verb, "resume") == 0 || strcmp(verb, "web") == 0;
	if (args.wants_help || !(has_name || strcmp(verb, "list") == 0) ||
		args.n_words != (has_name ? 2u : 1u)) {
		fprintf(args.wants_help ? stdout : stderr,
			"usage: tenon tenant create NAME    a tenant of its own: data, users, "
			"plugins\n"
			"       tenon tenant list\n"
			"       tenon tenant suspend NAME   its requests answer 503 until resumed\n"
			"       tenon tenant resume NAME\n"
			"       tenon tenant web NAME       sets its host names and origins\n"
			"A name is 2 to 31 of a-z, 0-9 and '-', beginning with a letter.\n");
		args_print(options, OPTIONS);
		return args.wants_help ? 0 : 2;
	}
	if (client_open(options[OPTION_DATA].value, options[OPTION_JSON].value != NULL, &client,
		    &err) < 0) {
		fprintf(stderr, "tenon: %s\n", err.message);
		return 1;
	}
	int status = run(&client, &args, options);
	client_close(&client);
	return status;
}
