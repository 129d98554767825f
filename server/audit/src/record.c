#include "record.h"

#include <assert.h>
#include <string.h>

#include "format.h"
#include "id.h"
#include "text_utf8.h"

static const struct {
	size_t offset;
	uint16_t max;
	uint8_t tag;
} texts[] = {
	{ offsetof(struct audit_record, tenant), AUDIT_TENANT_MAX, FIELD_TENANT },
	{ offsetof(struct audit_record, plugin), AUDIT_PLUGIN_MAX, FIELD_PLUGIN },
	{ offsetof(struct audit_record, actor), AUDIT_ACTOR_MAX, FIELD_ACTOR },
	{ offsetof(struct audit_record, action), AUDIT_ACTION_MAX, FIELD_ACTION },
	{ offsetof(struct audit_record, object), AUDIT_OBJECT_MAX, FIELD_OBJECT },
	{ offsetof(struct audit_record, reason), AUDIT_REASON_MAX, FIELD_REASON },
};

#define N_TEXTS (sizeof(texts) / sizeof(texts[0]))

/* Texts, trace, artifact, digest, two u32, three u64, each behind three bytes of tag and length. */
static_assert(RECORD_HEADER + RECORD_HASH + 7 + AUDIT_TENANT_MAX + AUDIT_PLUGIN_MAX +
			      AUDIT_ACTOR_MAX + AUDIT_ACTION_MAX + AUDIT_OBJECT_MAX +
			      AUDIT_REASON_MAX + AUDIT_ADDRESS_MAX + ID_TRACE_BYTES +
			      AUDIT_ARTIFACT_BYTES + HASH_BYTES + 2 * 4 + 3 * 8 +
			      (FIELD_TAGS - 1) * 3 <=
		      RECORD_MAX,
	"the largest record fits");

static uint8_t *put_field(uint8_t *p, uint8_t tag, const void *data, size_t n)
{
	p[0] = tag;
	put_u16(p + 1, (uint16_t)n);
	memcpy(p + 3, data, n);
	return p + 3 + n;
}

static uint8_t *put_fields(uint8_t *p, const struct audit_record *record, bool *ret_was_cut)
{
	for (size_t i = 0; i < N_TEXTS; i++) {
		struct bytes text;
		memcpy(&text, (const char *)record + texts[i].offset, sizeof(text));
		if (text.n == 0)
			continue;
		if (text.n > texts[i].max) {
			text = text_utf8_prefix(text, texts[i].max);
			*ret_was_cut = true;
		}
		p = put_field(p, texts[i].tag, text.p, text.n);
	}
	if (record->trace)
		p = put_field(p, FIELD_TRACE, record->trace, ID_TRACE_BYTES);
	if (record->artifact)
		p = put_field(p, FIELD_ARTIFACT, record->artifact, AUDIT_ARTIFACT_BYTES);
	if (record->digest)
		p = put_field(p, FIELD_DIGEST, record->digest, HASH_BYTES);
	if (record->generation)
		p = put_field(p, FIELD_GENERATION, &record->generation, 4);
	if (record->worker_pid)
		p = put_field(p, FIELD_PID, &record->worker_pid, 4);
	if (record->duration_ns)
		p = put_field(p, FIELD_DURATION, &record->duration_ns, 8);
	if (record->n_rows)
		p = put_field(p, FIELD_ROWS, &record->n_rows, 8);
	if (record->n_bytes)
		p = put_field(p, FIELD_BYTES, &record->n_bytes, 8);
	if (record->address.n > 0 && record->address.n <= AUDIT_ADDRESS_MAX)
		p = put_field(p, FIELD_ADDRESS, record->address.p, record->address.n);
	return p;
}

static void chain(const uint8_t *p, size_t length, const uint8_t *head, uint8_t *out)
{
	struct hash hash;

	hash_init(&hash);
	hash_add(&hash, head, HASH_BYTES);
	hash_add(&hash, p + RECORD_AT_LENGTH, length - RECORD_AT_LENGTH - RECORD_HASH);
	hash_end(&hash, out);
}

size_t record_write(uint8_t *p, const struct audit_record *record, const struct record_stamp *stamp,
	uint8_t head[static HASH_BYTES])
{
	bool was_cut = false;
	uint8_t *end = put_fields(p + RECORD_HEADER, record, &was_cut);
	size_t n_fields = (size_t)(end - p) - RECORD_HEADER;
	size_t length = ((RECORD_HEADER + n_fields + 7) & ~(size_t)7) + RECORD_HASH;

	assert(length <= RECORD_MAX);
	put_u32(p + RECORD_AT_LENGTH, (uint32_t)length);
	put_u64(p + RECORD_AT_SEQ, stamp->seq);
	put_u64(p + RECORD_AT_WALL, (uint64_t)stamp->wall_us);
	put_u64(p + RECORD_AT_MONO, stamp->mono_ns);
	put_u64(p + RECORD_AT_SEAL, stamp->seal);
	put_u16(p + RECORD_AT_KIND, (uint16_t)record->kind);
	put_u16(p + RECORD_AT_FLAGS,
		(uint16_t)((record->decision & 3u) << FLAG_DECISION_SHIFT |
			   (record->phase & 3u) << FLAG_PHASE_SHIFT | (was_cut ? FLAG_CUT : 0)));
	put_u16(p + RECORD_AT_STATUS, record->status);
	put_u16(p + RECORD_AT_N_FIELDS, (uint16_t)n_fields);
	chain(p, length, head, p + length - RECORD_HASH);
	memcpy(head, p + length - RECORD_HASH, HASH_BYTES);
	return length;
}

size_t record_length(const uint8_t *p)
{
	uint32_t length = get_u32(p + RECORD_AT_LENGTH);
	uint16_t n_fields = get_u16(p + RECORD_AT_N_FIELDS);

	if (get_u32(p + RECORD_AT_COMMIT) != record_commit_word(p))
		return 0;
	if (length < RECORD_MIN || length > RECORD_MAX ||
		length != ((RECORD_HEADER + n_fields + 7u) & ~7u) + RECORD_HASH)
		return 0;
	return length;
}

static bool take_number(struct audit_record *record, uint8_t tag, const uint8_t *data, size_t n)
{
	switch (tag) {
	case FIELD_GENERATION:
		record->generation = n == 4 ? get_u32(data) : 0;
		return n == 4;
	case FIELD_PID:
		record->worker_pid = n == 4 ? get_u32(data) : 0;
		return n == 4;
	case FIELD_DURATION:
		record->duration_ns = n == 8 ? get_u64(data) : 0;
		return n == 8;
	case FIELD_ROWS:
		record->n_rows = n == 8 ? get_u64(data) : 0;
		return n == 8;
	case FIELD_BYTES:
		record->n_bytes = n == 8 ? get_u64(data) : 0;
		return n == 8;
	default:
		return false;
	}
}

static bool take_field(struct audit_record *record, uint8_t tag, const uint8_t *data, size_t n)
{
	struct bytes text = { (const char *)data, n };

	for (size_t i = 0; i < N_TEXTS; i++)
		if (texts[i].tag == tag) {
			memcpy((char *)record + texts[i].offset, &text, sizeof(text));
			return n <= texts[i].max;
		}
	switch (tag) {
	case FIELD_ADDRESS:
		record->address = text;
		return n <= AUDIT_ADDRESS_MAX;
	case FIELD_TRACE:
		record->trace = data;
		return n == ID_TRACE_BYTES;
	case FIELD_ARTIFACT:
		record->artifact = data;
		return n == AUDIT_ARTIFACT_BYTES;
	case FIELD_DIGEST:
		record->digest = data;
		return n == HASH_BYTES;
	default:
		return take_number(record, tag, data, n);
	}
}

bool record_read(const uint8_t *p, size_t length, struct audit_entry *ret)
{
	const uint8_t *at = p + RECORD_HEADER, *end = at + get_u16(p + RECORD_AT_N_FIELDS);
	uint16_t flags = get_u16(p + RECORD_AT_FLAGS);
	struct audit_record record = {
		.kind = get_u16(p + RECORD_AT_KIND),
		.decision = flags >> FLAG_DECISION_SHIFT & 3,
		.phase = flags >> FLAG_PHASE_SHIFT & 3,
		.status = get_u16(p + RECORD_AT_STATUS),
	};
	unsigned last_tag = 0;

	if (end > p + length - RECORD_HASH)
		return false;
	while (at < end) {
		if (end - at < 3)
			return false;
		uint8_t tag = at[0];
		size_t n = get_u16(at + 1);
		at += 3;
		if (tag <= last_tag || n > (size_t)(end - at) || !take_field(&record, tag, at, n))
			return false;
		last_tag = tag;
		at += n;
	}
	ret->position.seq = get_u64(p + RECORD_AT_SEQ);
	ret->wall_us = (int64_t)get_u64(p + RECORD_AT_WALL);
	ret->mono_ns = get_u64(p + RECORD_AT_MONO);
	ret->seal = get_u64(p + RECORD_AT_SEAL);
	ret->was_cut = flags & FLAG_CUT;
	ret->record = record;
	memcpy(ret->hash, p + length - RECORD_HASH, RECORD_HASH);
	return true;
}

bool record_follows(const uint8_t *p, size_t length, uint8_t head[static HASH_BYTES])
{
	uint8_t expected[HASH_BYTES];

	chain(p, length, head, expected);
	if (memcmp(expected, p + length - RECORD_HASH, HASH_BYTES) != 0)
		return false;
	memcpy(head, expected, HASH_BYTES);
	return true;
}
