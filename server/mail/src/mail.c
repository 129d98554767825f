#include "mail.h"

#include "clock.h"
#include "log.h"
#include "mail_message.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SENDERS            2
#define QUEUE_MAX          256
#define TENANT_MAX         32 /* letters of one tenant */
#define TENANT_BYTES       64
#define TRIES_MAX          4
#define TIMEOUT_DEFAULT_MS 15000
#define RETRY_DEFAULT_MS   10000

struct letter {
	struct letter *next;
	char tenant[TENANT_BYTES];
	uint8_t trace_id[ID_TRACE_BYTES];
	char from[EGRESS_SMTP_REASON_MAX * 2], to[EGRESS_SMTP_REASON_MAX * 2];
	char host[256], username[256], password[1024], auth_method[16], local_name[256];
	uint16_t port;
	bool is_tls, is_sending;
	unsigned n_tries;
	uint64_t due_ns;
	struct bytes_buf message;
	struct mail_wait *wait;
};

struct mail {
	struct mail_config config;
	struct log_source log;
	pthread_t threads[SENDERS];
	unsigned n_threads;
	pthread_mutex_t lock; /* all below */
	pthread_cond_t changed;
	struct letter *first, **last; /* in the order in which they came */
	unsigned n_letters;
	struct id_source ids;
	atomic_bool is_ending;
};

static void letter_free(struct letter *letter)
{
	explicit_bzero(letter->password, sizeof letter->password);
	/* It holds a token that is worth an account. */
	if (letter->message.p)
		explicit_bzero(letter->message.p, letter->message.cap);
	bytes_buf_fini(&letter->message);
	free(letter);
}

static void deliver(struct loop_message *message)
{
	struct mail_wait *wait = (struct mail_wait *)message;

	wait->done(wait);
}

/* ---- the senders; locked, but while one sends ---- */

static void remove_letter(struct mail *mail, struct letter *letter)
{
	struct letter **at = &mail->first;

	while (*at != letter)
		at = &(*at)->next;
	*at = letter->next;
	if (mail->last == &letter->next)
		mail->last = at;
	mail->n_letters--;
}

static bool is_tenant_sending(const struct mail *mail, const char *tenant)
{
	for (const struct letter *letter = mail->first; letter; letter = letter->next)
		if (letter->is_sending && strcmp(letter->tenant, tenant) == 0)
			return true;
	return false;
}

/* The first letter that may go now; NULL and when to look again. */
static struct letter *next_letter(const struct mail *mail, uint64_t now_ns, uint64_t *ret_due_ns)
{
	*ret_due_ns = CLOCK_NEVER;
	for (struct letter *letter = mail->first; letter; letter = letter->next) {
		if (letter->is_sending || is_tenant_sending(mail, letter->tenant))
			continue;
		if (letter->due_ns <= now_ns)
			return letter;
		if (letter->due_ns < *ret_due_ns)
			*ret_due_ns = letter->due_ns;
	}
	return NULL;
}

static void wait_until(struct mail *mail, uint64_t due_ns)
{
	if (due_ns == CLOCK_NEVER) {
		(void)pthread_cond_wait(&mail->changed, &mail->lock);
		return;
	}
	const struct timespec at = { .tv_sec = (time_t)(due_ns / CLOCK_NS_PER_S),
		.tv_nsec = (long)(due_ns % CLOCK_NS_PER_S) };
	(void)pthread_cond_timedwait(&mail->changed, &mail->lock, &at);
}

static enum egress_smtp_outcome send_letter(
	const struct mail *mail, const struct letter *letter, char *ret_reason)
{
	const struct egress_smtp server = { .host = letter->host,
		.port = letter->port,
		.is_tls = letter->is_tls,
		.username = letter->username,
		.password = letter->password,
		.auth_method = letter->auth_method,
		.local_name = letter->local_name,
		.allowed = mail->config.allowed,
		.n_allowed = mail->config.n_allowed,
		.timeout_ms = mail->config.timeout_ms,
		.is_cancelled = &mail->is_ending };

	return egress_smtp_send(
		&server, letter->from, letter->to, bytes_buf_view(&letter->message), ret_reason);
}

/* Tells whoever waits, or the log; a letter that was put off stays in the queue. */
static void conclude(struct mail *mail, struct letter *letter, enum egress_smtp_outcome outcome,
	const char *reason)
{
	bool is_again = outcome == EGRESS_SMTP_LATER && !letter->wait &&
			++letter->n_tries < TRIES_MAX && !atomic_load(&mail->is_ending);

	letter->is_sending = false;
	if (outcome != EGRESS_SMTP_SENT)
		log_write(LOG_WARN, &mail->log, letter->trace_id,
			is_again ? "a letter was put off" : "a letter was not sent",
			LOG_FIELDS(log_string("tenant", letter->tenant),
				log_string("host", letter->host), log_string("reason", reason)));
	if (is_again) {
		uint64_t pause_ms = mail->config.retry_ms;
		letter->due_ns = clock_mono_ns() +
				 pause_ms * (letter->n_tries > 1 ? 10 : 1) * CLOCK_NS_PER_MS;
		return;
	}
	remove_letter(mail, letter);
	if (letter->wait) {
		letter->wait->outcome = outcome;
		(void)bytes_to_string(
			bytes_of(reason), letter->wait->reason, sizeof letter->wait->reason);
		letter->wait->message.deliver = deliver;
		loop_post(letter->wait->loop, &letter->wait->message);
	}
	letter_free(letter);
}

static void *run_sender(void *context)
{
	struct mail *mail = context;
	char reason[EGRESS_SMTP_REASON_MAX];
	uint64_t due_ns;

	pthread_mutex_lock(&mail->lock);
	while (!atomic_load(&mail->is_ending)) {
		struct letter *letter = next_letter(mail, clock_mono_ns(), &due_ns);
		if (!letter) {
			wait_until(mail, due_ns);
			continue;
		}
		letter->is_sending = true;
		pthread_mutex_unlock(&mail->lock);
		enum egress_smtp_outcome outcome = send_letter(mail, letter, reason);
		pthread_mutex_lock(&mail->lock);
		conclude(mail, letter, outcome, reason);
		/* The tenant's next letter may go now. */
		(void)pthread_cond_broadcast(&mail->changed);
	}
	pthread_mutex_unlock(&mail->lock);
	return NULL;
}

/* ---- opening and closing ---- */

int mail_open(const struct mail_config *config, struct mail **ret, struct err *err)
{
	DEFER(mail_close) struct mail *mail = calloc(1, sizeof *mail);
	pthread_condattr_t monotonic;

	if (!mail)
		return ERR_SET(err, ERR_NOMEM, "no memory for mail");
	mail->config = *config;
	if (!mail->config.timeout_ms)
		mail->config.timeout_ms = TIMEOUT_DEFAULT_MS;
	if (!mail->config.retry_ms)
		mail->config.retry_ms = RETRY_DEFAULT_MS;
	mail->log = LOG_SOURCE("mail");
	mail->last = &mail->first;
	(void)pthread_mutex_init(&mail->lock, NULL);
	(void)pthread_condattr_init(&monotonic);
	(void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&mail->changed, &monotonic);
	(void)pthread_condattr_destroy(&monotonic);
	for (; mail->n_threads < SENDERS; mail->n_threads++)
		if (pthread_create(&mail->threads[mail->n_threads], NULL, run_sender, mail) != 0)
			return ERR_SET(err, ERR_IO, "cannot start a thread for mail");
	*ret = mail;
	mail = NULL; /* handed over */
	return 0;
}

void mail_close(struct mail *mail)
{
	if (!mail)
		return;
	pthread_mutex_lock(&mail->lock);
	atomic_store(&mail->is_ending, true);
	(void)pthread_cond_broadcast(&mail->changed);
	pthread_mutex_unlock(&mail->lock);
	for (unsigned i = 0; i < mail->n_threads; i++)
		(void)pthread_join(mail->threads[i], NULL);
	while (mail->first)
		conclude(mail, mail->first, EGRESS_SMTP_LATER, "the server stopped");
	(void)pthread_cond_destroy(&mail->changed);
	(void)pthread_mutex_destroy(&mail->lock);
	free(mail);
}

/* ---- posting ---- */

static bool copy_server(struct letter *letter, const struct mail_server *server)
{
	letter->port = server->port;
	letter->is_tls = server->is_tls;
	return bytes_to_string(server->host, letter->host, sizeof letter->host) &&
	       bytes_to_string(server->username, letter->username, sizeof letter->username) &&
	       bytes_to_string(server->password, letter->password, sizeof letter->password) &&
	       bytes_to_string(
		       server->auth_method, letter->auth_method, sizeof letter->auth_method) &&
	       bytes_to_string(server->local_name, letter->local_name, sizeof letter->local_name);
}

/* The letter ready to go, or NULL when it is none or there is no memory. */
static struct letter *make_letter(struct mail *mail, const struct mail_server *server,
	const struct mail_letter *from, struct mail_wait *wait)
{
	struct letter *letter = calloc(1, sizeof *letter);
	char id[ID_RECORD_BYTES + 1];

	if (!letter)
		return NULL;
	pthread_mutex_lock(&mail->lock);
	id_record(&mail->ids, id);
	pthread_mutex_unlock(&mail->lock);
	const struct mail_message message = { .from_name = from->from_name,
		.from_address = from->from_address,
		.to_address = from->to_address,
		.subject = from->subject,
		.html = from->html,
		.now_s = clock_wall_us() / 1000000,
		.id = bytes_of(id) };
	bytes_buf_init(&letter->message, MAIL_MESSAGE_MAX);
	letter->wait = wait;
	memcpy(letter->trace_id, from->trace_id, sizeof letter->trace_id);
	if (mail_compose(&message, &letter->message) && copy_server(letter, server) &&
		bytes_to_string(from->tenant, letter->tenant, sizeof letter->tenant) &&
		bytes_to_string(from->from_address, letter->from, sizeof letter->from) &&
		bytes_to_string(from->to_address, letter->to, sizeof letter->to))
		return letter;
	letter_free(letter);
	return NULL;
}

enum mail_result mail_post(struct mail *mail, const struct mail_server *server,
	const struct mail_letter *from, struct mail_wait *wait)
{
	struct letter *letter = make_letter(mail, server, from, wait);
	unsigned n_of_tenant = 0;

	assert(!from->is_rehearsal || !wait);
	if (!letter)
		return MAIL_INVALID;
	pthread_mutex_lock(&mail->lock);
	for (const struct letter *at = mail->first; at; at = at->next)
		n_of_tenant += strcmp(at->tenant, letter->tenant) == 0;
	bool is_full = mail->n_letters >= QUEUE_MAX || n_of_tenant >= TENANT_MAX ||
		       atomic_load(&mail->is_ending);
	if (!is_full && !from->is_rehearsal) {
		*mail->last = letter;
		mail->last = &letter->next;
		mail->n_letters++;
		(void)pthread_cond_signal(&mail->changed);
	}
	pthread_mutex_unlock(&mail->lock);
	if (from->is_rehearsal)
		letter_free(letter);
	if (!is_full || from->is_rehearsal)
		return MAIL_QUEUED;
	log_write(LOG_WARN, &mail->log, from->trace_id, "a letter was not sent",
		LOG_FIELDS(log_text("tenant", from->tenant),
			log_string("reason", "the queue is full")));
	letter_free(letter);
	return MAIL_FULL;
}

unsigned mail_load(struct mail *mail)
{
	pthread_mutex_lock(&mail->lock);
	unsigned n = mail->n_letters;
	pthread_mutex_unlock(&mail->lock);
	return n;
}
