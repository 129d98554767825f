#include "audit_reader.h"

#include "clock.h"
#include "id.h"
#include "text_json_writer.h"

static void write_text(struct text_json_writer *writer, const char *key, struct bytes text)
{
	if (text.n == 0)
		return;
	text_json_write_key(writer, bytes_of(key));
	text_json_write_string(writer, text);
}

static void write_number(struct text_json_writer *writer, const char *key, uint64_t number)
{
	if (number == 0)
		return;
	text_json_write_key(writer, bytes_of(key));
	text_json_write_uint64(writer, number);
}

static void write_hex(
	struct text_json_writer *writer, const char *key, const uint8_t *data, size_t n)
{
	char digits[2 * AUDIT_HASH_BYTES];

	if (!data)
		return;
	bytes_hex((struct bytes){ (const char *)data, n }, digits);
	write_text(writer, key, (struct bytes){ digits, 2 * n });
}

static const char *const decisions[4] = { [AUDIT_ALLOWED] = "allow", [AUDIT_DENIED] = "deny" };
static const char *const phases[4] = { [AUDIT_INTENT] = "intent", [AUDIT_OUTCOME] = "outcome" };

bool audit_entry_format(const struct audit_entry *entry, struct bytes_buf *out)
{
	const struct audit_record *record = &entry->record;
	struct text_json_writer writer;
	char time[CLOCK_TEXT_BYTES];

	clock_format(entry->wall_us, time);
	text_json_writer_init(&writer, out);
	text_json_begin_object(&writer);
	text_json_write_key(&writer, BYTES("lane"));
	text_json_write_uint64(&writer, entry->position.lane);
	text_json_write_key(&writer, BYTES("seq"));
	text_json_write_uint64(&writer, entry->position.seq);
	write_text(&writer, "time", bytes_of(time));
	write_number(&writer, "monoNs", entry->mono_ns);
	write_text(&writer, "kind", bytes_of(audit_kind_name(record->kind)));
	write_text(&writer, "tenant", record->tenant);
	write_text(&writer, "actor", record->actor);
	write_text(&writer, "action", record->action);
	write_text(&writer, "object", record->object);
	write_text(&writer, "decision", bytes_of(decisions[record->decision & 3]));
	write_text(&writer, "reason", record->reason);
	write_text(&writer, "address", record->address);
	write_text(&writer, "phase", bytes_of(phases[record->phase & 3]));
	write_number(&writer, "status", record->status);
	write_number(&writer, "durationNs", record->duration_ns);
	write_number(&writer, "rows", record->n_rows);
	write_number(&writer, "bytes", record->n_bytes);
	write_text(&writer, "plugin", record->plugin);
	write_hex(&writer, "artifact", record->artifact, AUDIT_ARTIFACT_BYTES);
	write_number(&writer, "generation", record->generation);
	write_number(&writer, "pid", record->worker_pid);
	write_hex(&writer, "traceId", record->trace, ID_TRACE_BYTES);
	write_hex(&writer, "argumentsDigest", record->digest, AUDIT_HASH_BYTES);
	write_number(&writer, "seal", entry->seal);
	if (entry->was_cut) {
		text_json_write_key(&writer, BYTES("cut"));
		text_json_write_bool(&writer, true);
	}
	write_hex(&writer, "hash", entry->hash, AUDIT_HASH_BYTES);
	text_json_end_object(&writer);
	return text_json_write_done(&writer);
}
