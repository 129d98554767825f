/*
 * client.h - how a command reaches the server of a data folder
 */
#ifndef CLI_CLIENT_H
#define CLI_CLIENT_H

#include <stdbool.h>

#include "bytes.h"
#include "defer.h"
#include "egress_client.h"
#include "err.h"

#define CLIENT_ADDRESS_FILE "run/address" /* "http://127.0.0.1:8090" */
#define CLIENT_TOKEN_FILE   "run/token"   /* 64 hexadecimal digits, 0600, new at each start */

struct client {
	struct egress_client *http;
	struct core *own; /* the core that this command had to start itself, or NULL */
	bool wants_json;  /* --json: print answers as they came */
};

/* Connects to the server of data_folder, or assembles one. Returns 0, or -1 having set *err. */
int client_open(const char *data_folder, bool wants_json, struct client *ret, struct err *err);
/* Takes a zeroed client. */
void client_close(struct client *client);

/* Sends a JSON body (or none when body.p is NULL) and gives the answer's body, terminated. Returns
 * the exit status: 0 for a 2xx answer; else 1, having told stderr what the server said. */
int client_ask(struct client *client, const char *method, const char *path, struct bytes body,
	struct bytes_buf *out);
/* The same with another type of body and a time limit. */
int client_send(struct client *client, const char *method, const char *path,
	const char *content_type, struct bytes body, unsigned timeout_ms, struct bytes_buf *out);

/* A GET whose answer take gets piece by piece. */
int client_fetch(struct client *client, const char *path,
	bool (*take)(void *context, struct bytes data), void *context);

/* Prints a JSON answer: as it came with --json; else the rows of its array member `items` (or the
 * object itself) as a table of the named columns, "a.b" meaning a member of a member. */
void client_print(const struct client *client, struct bytes answer, const char *const *columns,
	unsigned n_columns);

#endif
