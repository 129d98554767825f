/*
 * json_raw.c - the table of what is JSON and what is not, against a server that runs
 *
 *   json_raw --port 8090 --path /api/collections/notes/records
 *
 * Each document of json_cases.h is the body of a POST. What the server's reader refuses says so,
 * with the place ("not JSON that can be taken ... at byte N"); what it takes may still be no
 * record. Prints three counts, and the names of the rows where the answer is not as the row says.
 */
#include "json_cases.h"
#include "raw_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum outcome { TAKEN, REFUSED, BROKEN };

static enum outcome post(uint16_t port, const char *path, struct bytes doc)
{
	struct raw_exchange exchange;
	char head[512];
	int status = 0;
	enum outcome outcome = BROKEN;
	int n = snprintf(head, sizeof head,
		"POST %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
		"Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
		path, doc.n);

	if (raw_open(&exchange, port)) {
		raw_send(&exchange, head, (size_t)n, RAW_WHOLE);
		raw_send(&exchange, doc.p, doc.n, RAW_WHOLE);
		raw_receive(&exchange, 0, 10000);
		int n_answers = raw_count_answers(&exchange, &status);
		bool is_refusal = exchange.received &&
				  strstr(exchange.received, "not JSON that can be taken") &&
				  strstr(exchange.received, ", at byte ");
		if (n_answers == 1 && status == 400 && is_refusal)
			outcome = REFUSED;
		else if (n_answers == 1 && (status == 200 || status == 400) && !is_refusal)
			outcome = TAKEN;
	}
	raw_fini(&exchange);
	return outcome;
}

int main(int argc, char **argv)
{
	uint16_t port = 0;
	const char *path = "/";
	unsigned n_taken[2] = { 0 }, n_refused[2] = { 0 }, n_wrong = 0;
	const size_t n_cases = sizeof json_cases / sizeof json_cases[0];

	for (int i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--port") == 0)
			port = (uint16_t)atoi(argv[i + 1]);
		else if (strcmp(argv[i], "--path") == 0)
			path = argv[i + 1];
	}
	for (size_t i = 0; i < n_cases; i++) {
		const struct json_case *row = &json_cases[i];
		bool is_y = row->name[0] == 'y', is_n = row->name[0] == 'n';
		enum outcome outcome = post(port, path, row->doc);
		if ((outcome == TAKEN) != (row->verdict == TEXT_JSON_VALID) || outcome == BROKEN) {
			printf("WRONG %s\n", row->name);
			n_wrong++;
		}
		if (is_y && outcome == REFUSED)
			printf("refused %s\n", row->name);
		n_taken[is_n] += (is_y || is_n) && outcome == TAKEN;
		n_refused[is_n] += (is_y || is_n) && outcome == REFUSED;
	}
	printf("y %u taken, %u refused\nn %u taken, %u refused\nwrong %u of %zu\n", n_taken[0],
		n_refused[0], n_taken[1], n_refused[1], n_wrong, n_cases);
	return n_wrong == 0 ? 0 : 1;
}
