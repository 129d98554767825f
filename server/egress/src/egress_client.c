#include "egress_client.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct egress_client {
	CURL *curl;
	char *base_url;
	struct curl_slist *headers;
};

int egress_client_new(const char *base_url, const struct egress_client_header *headers,
	unsigned n_headers, struct egress_client **ret, struct err *err)
{
	DEFER(egress_client_free) struct egress_client *client = calloc(1, sizeof *client);

	if (!client)
		return ERR_SET(err, ERR_NOMEM, "no memory for an HTTP client");
	client->curl = curl_easy_init();
	client->base_url = strdup(base_url);
	if (!client->curl || !client->base_url)
		return ERR_SET(err, ERR_NOMEM, "no memory for an HTTP client");
	for (unsigned i = 0; i < n_headers; i++) {
		char line[1024];
		int n = snprintf(line, sizeof line, "%s: %s", headers[i].name, headers[i].value);
		struct curl_slist *longer = n > 0 && (size_t)n < sizeof line
						    ? curl_slist_append(client->headers, line)
						    : NULL;
		if (!longer)
			return ERR_SET(
				err, ERR_LIMIT, "the header %s is too long", headers[i].name);
		client->headers = longer;
	}
	*ret = client;
	client = NULL; /* handed over */
	return 0;
}

void egress_client_free(struct egress_client *client)
{
	if (!client)
		return;
	if (client->curl)
		curl_easy_cleanup(client->curl);
	curl_slist_free_all(client->headers);
	free(client->base_url);
	free(client);
}

static size_t take_body(char *data, size_t size, size_t n, void *context)
{
	struct bytes_buf *out = context;

	return bytes_buf_append(out, (struct bytes){ data, size * n }) ? size * n : 0;
}

/* What both kinds of request have in common. take is curl's. */
static int perform(struct egress_client *client, const char *method, const char *path,
	const char *content_type, struct bytes body, unsigned *ret_status,
	size_t (*take)(char *, size_t, size_t, void *), void *context, struct err *err)
{
	CURL *curl = client->curl;
	struct curl_slist *headers = NULL;
	char url[4096], type[128];
	long status = 0;

	int n = snprintf(url, sizeof url, "%s%s", client->base_url, path);
	if (n < 0 || (size_t)n >= sizeof url)
		return ERR_SET(err, ERR_LIMIT, "the path is longer than %zu bytes", sizeof url);
	/* Copied for each request, since curl does not take a list that shares its tail. */
	for (struct curl_slist *h = client->headers; h; h = h->next)
		headers = curl_slist_append(headers, h->data);
	/* No "Expect: 100-continue": it costs a round trip, and a second against servers without
	 * it. */
	headers = curl_slist_append(headers, "Expect:");
	if (content_type) {
		(void)snprintf(type, sizeof type, "Content-Type: %s", content_type);
		headers = curl_slist_append(headers, type);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body.p ? body.p : "");
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.n);
	}
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, context);
	CURLcode rc = curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	curl_slist_free_all(headers);
	if (rc == CURLE_OPERATION_TIMEDOUT)
		return ERR_SET(err, ERR_TIMEOUT, "%s gave no answer in time", url);
	if (rc == CURLE_WRITE_ERROR)
		return ERR_SET(err, ERR_LIMIT, "the answer of %s is too long", url);
	if (rc != CURLE_OK)
		return ERR_SET(err, ERR_UNAVAILABLE, "%s: %s", url, curl_easy_strerror(rc));
	*ret_status = (unsigned)status;
	return 0;
}

int egress_client_send(struct egress_client *client, const char *method, const char *path,
	const char *content_type, struct bytes body, unsigned timeout_ms, unsigned *ret_status,
	struct bytes_buf *out, struct err *err)
{
	curl_easy_reset(client->curl);
	curl_easy_setopt(client->curl, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
	return perform(client, method, path, content_type, body, ret_status, take_body, out, err);
}

struct fetch {
	CURL *curl;
	bool (*take)(void *context, struct bytes data);
	void *context;
	struct bytes_buf *out;
	bool is_declined;
};

static size_t take_piece(char *data, size_t size, size_t n, void *context)
{
	struct fetch *fetch = context;
	struct bytes piece = { data, size * n };
	long status = 0;

	curl_easy_getinfo(fetch->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status < 200 || status >= 300)
		return bytes_buf_append(fetch->out, piece) ? piece.n : 0;
	fetch->is_declined = !fetch->take(fetch->context, piece);
	return fetch->is_declined ? 0 : piece.n;
}

int egress_client_fetch(struct egress_client *client, const char *path, unsigned timeout_ms,
	bool (*take)(void *context, struct bytes data), void *context, unsigned *ret_status,
	struct bytes_buf *out, struct err *err)
{
	struct fetch fetch = { client->curl, take, context, out, false };

	curl_easy_reset(client->curl);
	curl_easy_setopt(client->curl, CURLOPT_CONNECTTIMEOUT_MS, (long)timeout_ms);
	curl_easy_setopt(client->curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(client->curl, CURLOPT_LOW_SPEED_TIME, (long)(timeout_ms / 1000 + 1));
	int result = perform(client, "GET", path, NULL, (struct bytes){ 0 }, ret_status, take_piece,
		&fetch, err);
	if (fetch.is_declined)
		return ERR_SET(err, ERR_IO, "what %s answered could not be kept", path);
	return result;
}
