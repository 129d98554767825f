/*
 * Sessions live in memory alone: a restart signs everybody out, and a stolen database signs nobody
 * in. The CSRF token is an HMAC of the session's id under the server's secret, so it need not be
 * kept.
 */
#include "operators.h"

#include "clock.h"
#include "id.h"

#include <string.h>

static void csrf_of(const struct auth *auth, struct bytes id, char out[static AUTH_SECRET_HEX + 1])
{
	uint8_t mac[HASH_BYTES];

	hash_hmac((struct bytes){ (const char *)auth->secret, sizeof auth->secret }, id, mac);
	bytes_hex((struct bytes){ (const char *)mac, sizeof mac }, out);
	out[AUTH_SECRET_HEX] = '\0';
}

static bool is_over(const struct session_slot *slot, uint64_t now_ns)
{
	return !slot->is_live || now_ns - slot->used_ns > SESSION_IDLE_NS ||
	       now_ns - slot->began_ns > SESSION_LIFE_NS;
}

void session_begin(struct auth_operators *operators, const char *email, const char *operator_id,
	struct auth_session *ret)
{
	uint64_t now_ns = clock_mono_ns();
	struct id_source ids = { 0 };
	uint8_t random[HASH_BYTES];

	*ret = (struct auth_session){ 0 };
	id_random(&ids, random, sizeof random);
	bytes_hex((struct bytes){ (const char *)random, sizeof random }, ret->id);
	csrf_of(operators->auth, bytes_of(ret->id), ret->csrf);
	(void)bytes_to_string(bytes_of(email), ret->email, sizeof ret->email);
	(void)bytes_to_string(bytes_of(operator_id), ret->operator_id, sizeof ret->operator_id);

	pthread_mutex_lock(&operators->lock);
	struct session_slot *slot = &operators->sessions[0];
	for (size_t i = 0; i < SESSIONS_MAX; i++) {
		struct session_slot *other = &operators->sessions[i];
		if (is_over(other, now_ns)) {
			slot = other;
			break;
		}
		if (other->used_ns < slot->used_ns)
			slot = other;
	}
	*slot = (struct session_slot){ .is_live = true, .began_ns = now_ns, .used_ns = now_ns };
	hash_of(bytes_of(ret->id), slot->id_hash);
	memcpy(slot->email, ret->email, sizeof slot->email);
	memcpy(slot->operator_id, ret->operator_id, sizeof slot->operator_id);
	pthread_mutex_unlock(&operators->lock);
}

/* The live session whose id hashes to this, or NULL. Locked. Comparing hashes in plain time tells
 * nothing about the id. */
static struct session_slot *find(struct auth_operators *operators, struct bytes id)
{
	uint8_t id_hash[HASH_BYTES];
	uint64_t now_ns = clock_mono_ns();

	if (id.n != AUTH_SECRET_HEX)
		return NULL;
	hash_of(id, id_hash);
	for (size_t i = 0; i < SESSIONS_MAX; i++) {
		struct session_slot *slot = &operators->sessions[i];
		if (slot->is_live && memcmp(slot->id_hash, id_hash, sizeof id_hash) == 0 &&
			!is_over(slot, now_ns))
			return slot;
	}
	return NULL;
}

bool auth_session_find(struct auth_operators *operators, struct bytes id, struct auth_session *ret)
{
	bool is_found = false;

	pthread_mutex_lock(&operators->lock);
	struct session_slot *slot = find(operators, id);
	if (slot) {
		slot->used_ns = clock_mono_ns();
		*ret = (struct auth_session){ 0 };
		memcpy(ret->email, slot->email, sizeof ret->email);
		memcpy(ret->operator_id, slot->operator_id, sizeof ret->operator_id);
		(void)bytes_to_string(id, ret->id, sizeof ret->id);
		is_found = true;
	}
	pthread_mutex_unlock(&operators->lock);
	if (is_found)
		csrf_of(operators->auth, id, ret->csrf);
	return is_found;
}

bool auth_session_has_csrf(const struct auth_session *session, struct bytes csrf)
{
	return bytes_eq_secret(csrf, bytes_of(session->csrf));
}

void auth_session_end(struct auth_operators *operators, struct bytes id)
{
	pthread_mutex_lock(&operators->lock);
	struct session_slot *slot = find(operators, id);
	if (slot)
		*slot = (struct session_slot){ 0 };
	pthread_mutex_unlock(&operators->lock);
}

void session_end_all(struct auth_operators *operators, const char *email)
{
	pthread_mutex_lock(&operators->lock);
	for (size_t i = 0; i < SESSIONS_MAX; i++)
		/* The database finds an account in any case; a session has what was typed. */
		if (bytes_eq_nocase(bytes_of(operators->sessions[i].email), bytes_of(email)))
			operators->sessions[i] = (struct session_slot){ 0 };
	pthread_mutex_unlock(&operators->lock);
}
