#include "egress_smtp.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define HOST_MAX    253
#define ADDRESS_MAX 254

static const uint16_t mail_ports[] = { 25, 465, 587, 2525 };

struct sending {
	const struct egress_smtp *server;
	struct bytes left; /* of the message */
	enum egress_guard_verdict verdict;
};

bool egress_smtp_address_is_valid(struct bytes address)
{
	const char *at = address.n ? memchr(address.p, '@', address.n) : NULL;

	if (!at || at == address.p || at == address.p + address.n - 1 || address.n > ADDRESS_MAX ||
		memrchr(address.p, '@', address.n) != at)
		return false;
	for (size_t i = 0; i < address.n; i++)
		if (address.p[i] <= ' ' || address.p[i] >= 127 ||
			strchr("<>()[],;:\\\"", address.p[i]))
			return false;
	return true;
}

bool egress_smtp_host_is_valid(struct bytes host)
{
	if (host.n == 0 || host.n > HOST_MAX || host.p[0] == '-')
		return false;
	for (size_t i = 0; i < host.n; i++) {
		char c = host.p[i];
		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			    c == '.' || c == '-' || c == ':'))
			return false;
	}
	return true;
}

/* ---- what curl calls ---- */

static bool is_mail_port(const struct sockaddr *address)
{
	uint16_t port = address->sa_family == AF_INET
				? ((const struct sockaddr_in *)(const void *)address)->sin_port
				: ((const struct sockaddr_in6 *)(const void *)address)->sin6_port;

	for (size_t i = 0; i < sizeof mail_ports / sizeof mail_ports[0]; i++)
		if (ntohs(port) == mail_ports[i])
			return true;
	return false;
}

static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct sending *sending = context;
	const struct egress_smtp *server = sending->server;

	(void)purpose;
	sending->verdict = egress_guard_check(
		&address->addr, address->addrlen, server->allowed, server->n_allowed, NULL);
	/* The guard says PORT only of an address that is fit in all else. What it lets through on
	 * other ports is a web server's, unless an operator's range names it. */
	bool is_mail = is_mail_port(&address->addr);
	if (sending->verdict == EGRESS_GUARD_PORT && is_mail)
		sending->verdict = EGRESS_GUARD_ALLOWED;
	else if (sending->verdict == EGRESS_GUARD_ALLOWED && !is_mail &&
		 egress_guard_check(&address->addr, address->addrlen, NULL, 0, NULL) ==
			 EGRESS_GUARD_ALLOWED)
		sending->verdict = EGRESS_GUARD_PORT;
	if (sending->verdict != EGRESS_GUARD_ALLOWED)
		return CURL_SOCKET_BAD;
	return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static size_t give_message(char *to, size_t size, size_t n, void *context)
{
	struct sending *sending = context;
	size_t take = size * n < sending->left.n ? size * n : sending->left.n;

	if (take)
		memcpy(to, sending->left.p, take);
	sending->left = (struct bytes){ sending->left.p + take, sending->left.n - take };
	return take;
}

static size_t drop_answer(char *data, size_t size, size_t n, void *context)
{
	(void)data;
	(void)context;
	return size * n;
}

static int on_progress(
	void *context, curl_off_t dl, curl_off_t dl_now, curl_off_t ul, curl_off_t ul_now)
{
	const struct sending *sending = context;

	(void)dl;
	(void)dl_now;
	(void)ul;
	(void)ul_now;
	return sending->server->is_cancelled && atomic_load(sending->server->is_cancelled);
}

/* ---- one message ---- */

static bool make_url(const struct egress_smtp *server, char *url, size_t cap)
{
	const char *name = server->local_name[0] ? server->local_name : "localhost";
	bool is_ipv6 = strchr(server->host, ':') != NULL;

	if (!egress_smtp_host_is_valid(bytes_of(server->host)) ||
		!egress_smtp_host_is_valid(bytes_of(name)) || server->port == 0)
		return false;
	int n = snprintf(url, cap, "%s://%s%s%s:%u/%s", server->is_tls ? "smtps" : "smtp",
		is_ipv6 ? "[" : "", server->host, is_ipv6 ? "]" : "", server->port, name);
	return n > 0 && (size_t)n < cap;
}

static void set_options(CURL *curl, const struct egress_smtp *server, struct sending *sending)
{
	bool has_password = server->username[0] || server->password[0];

	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)server->timeout_ms);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)server->timeout_ms / 2);
	/* Who stands between could strip the offer of STARTTLS: a password is not worth that. */
	curl_easy_setopt(curl, CURLOPT_USE_SSL,
		(long)(has_password || server->is_tls ? CURLUSESSL_ALL : CURLUSESSL_TRY));
	if (has_password) {
		curl_easy_setopt(curl, CURLOPT_USERNAME, server->username);
		curl_easy_setopt(curl, CURLOPT_PASSWORD, server->password);
		if (strcmp(server->auth_method, "LOGIN") == 0)
			curl_easy_setopt(curl, CURLOPT_LOGIN_OPTIONS, "AUTH=LOGIN");
		else if (strcmp(server->auth_method, "PLAIN") == 0)
			curl_easy_setopt(curl, CURLOPT_LOGIN_OPTIONS, "AUTH=PLAIN");
	}
	curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, sending);
	curl_easy_setopt(curl, CURLOPT_READFUNCTION, give_message);
	curl_easy_setopt(curl, CURLOPT_READDATA, sending);
	curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)sending->left.n);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, drop_answer);
	curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(curl, CURLOPT_XFERINFODATA, sending);
	curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
}

static enum egress_smtp_outcome judge(
	CURL *curl, CURLcode rc, const struct sending *sending, char *ret_reason)
{
	long code = 0;

	if (rc == CURLE_OK)
		return EGRESS_SMTP_SENT;
	if (sending->verdict != EGRESS_GUARD_ALLOWED) {
		(void)snprintf(ret_reason, EGRESS_SMTP_REASON_MAX,
			"the mail server's address is not allowed: %s",
			egress_guard_name(sending->verdict));
		return EGRESS_SMTP_REFUSED;
	}
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &code);
	(void)snprintf(
		ret_reason, EGRESS_SMTP_REASON_MAX, "%s (%ld)", curl_easy_strerror(rc), code);
	bool is_final = code >= 500 || rc == CURLE_LOGIN_DENIED || rc == CURLE_USE_SSL_FAILED ||
			rc == CURLE_PEER_FAILED_VERIFICATION;
	return is_final ? EGRESS_SMTP_REFUSED : EGRESS_SMTP_LATER;
}

enum egress_smtp_outcome egress_smtp_send(const struct egress_smtp *server, const char *from,
	const char *to, struct bytes message, char ret_reason[static EGRESS_SMTP_REASON_MAX])
{
	struct sending sending = {
		.server = server, .left = message, .verdict = EGRESS_GUARD_ALLOWED
	};
	char url[3 * HOST_MAX], sender[ADDRESS_MAX + 3], recipient[ADDRESS_MAX + 3];

	ret_reason[0] = '\0';
	if (!egress_smtp_address_is_valid(bytes_of(from)) ||
		!egress_smtp_address_is_valid(bytes_of(to)) || !make_url(server, url, sizeof url)) {
		(void)snprintf(ret_reason, EGRESS_SMTP_REASON_MAX,
			"an address or the mail server's name is not one");
		return EGRESS_SMTP_REFUSED;
	}
	(void)snprintf(sender, sizeof sender, "<%s>", from);
	(void)snprintf(recipient, sizeof recipient, "<%s>", to);
	CURL *curl = curl_easy_init();
	struct curl_slist *recipients = curl_slist_append(NULL, recipient);
	if (!curl || !recipients) {
		curl_easy_cleanup(curl);
		curl_slist_free_all(recipients);
		(void)snprintf(ret_reason, EGRESS_SMTP_REASON_MAX, "no memory");
		return EGRESS_SMTP_LATER;
	}
	set_options(curl, server, &sending);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_MAIL_FROM, sender);
	curl_easy_setopt(curl, CURLOPT_MAIL_RCPT, recipients);
	enum egress_smtp_outcome outcome =
		judge(curl, curl_easy_perform(curl), &sending, ret_reason);
	curl_easy_cleanup(curl);
	curl_slist_free_all(recipients);
	return outcome;
}
