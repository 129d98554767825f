#include "codec.h"

#include <math.h>
#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the wire is little-endian"
#endif

static const char *take(struct reader *reader, size_t n)
{
	if (reader->failed || n > reader->left.n) {
		reader->failed = true;
		return NULL;
	}
	const char *p = reader->left.p;
	reader->left.p += n;
	reader->left.n -= n;
	return p;
}

uint32_t read_u32(struct reader *reader)
{
	const char *p = take(reader, sizeof(uint32_t));
	uint32_t value = 0;

	if (p)
		memcpy(&value, p, sizeof value);
	return value;
}

uint64_t read_u64(struct reader *reader)
{
	const char *p = take(reader, sizeof(uint64_t));
	uint64_t value = 0;

	if (p)
		memcpy(&value, p, sizeof value);
	return value;
}

void read_id(struct reader *reader, uint8_t id[static WIRE_ID_BYTES])
{
	const char *p = take(reader, WIRE_ID_BYTES);

	if (p)
		memcpy(id, p, WIRE_ID_BYTES);
	else
		memset(id, 0, WIRE_ID_BYTES);
}

struct bytes read_text(struct reader *reader)
{
	size_t n = read_u32(reader);
	const char *p = n ? take(reader, n) : NULL;

	return (struct bytes){ p, p ? n : 0 };
}

struct wire_list read_list(struct reader *reader, uint32_t max, bool (*step)(struct reader *))
{
	uint32_t n = read_u32(reader);

	if (n > max)
		reader->failed = true;
	const char *start = reader->left.p;
	for (uint32_t i = 0; i < n && !reader->failed; i++)
		if (!step(reader))
			reader->failed = true;
	if (reader->failed || n == 0)
		return (struct wire_list){ 0 };
	return (struct wire_list){ n, { start, (size_t)(reader->left.p - start) } };
}

struct bytes read_tail(struct reader *reader)
{
	struct bytes tail = reader->left;

	if (reader->failed)
		return (struct bytes){ 0 };
	reader->left = (struct bytes){ 0 };
	return tail;
}

bool read_end(struct reader *reader)
{
	return !reader->failed && reader->left.n == 0;
}

bool step_pair(struct reader *reader)
{
	(void)read_text(reader);
	(void)read_text(reader);
	return !reader->failed;
}

bool step_text(struct reader *reader)
{
	(void)read_text(reader);
	return !reader->failed;
}

static bool read_value(struct reader *reader, struct wire_value *ret)
{
	uint32_t type = read_u32(reader);
	uint64_t word;

	*ret = (struct wire_value){ 0 };
	switch (type) {
	case WIRE_NULL:
		break;
	case WIRE_INTEGER:
	case WIRE_BOOL:
		ret->integer = (int64_t)read_u64(reader);
		if (type == WIRE_BOOL && (ret->integer < 0 || ret->integer > 1))
			return false;
		break;
	case WIRE_REAL:
		word = read_u64(reader);
		memcpy(&ret->real, &word, sizeof ret->real);
		if (!isfinite(ret->real))
			return false;
		break;
	case WIRE_TEXT:
	case WIRE_BLOB:
		ret->text = read_text(reader);
		break;
	default:
		return false;
	}
	ret->type = (enum wire_value_type)type;
	return !reader->failed;
}

bool step_value(struct reader *reader)
{
	struct wire_value ignored;

	return read_value(reader, &ignored);
}

bool write_u32(struct bytes_buf *out, uint32_t value)
{
	return bytes_buf_append(out, (struct bytes){ (const char *)&value, sizeof value });
}

bool write_u64(struct bytes_buf *out, uint64_t value)
{
	return bytes_buf_append(out, (struct bytes){ (const char *)&value, sizeof value });
}

bool write_text(struct bytes_buf *out, struct bytes text)
{
	if (text.n > UINT32_MAX) {
		out->failed = true;
		return false;
	}
	return write_u32(out, (uint32_t)text.n) && bytes_buf_append(out, text);
}

bool write_list(struct bytes_buf *out, const struct wire_list *list)
{
	return write_u32(out, list->n) && (list->n == 0 || bytes_buf_append(out, list->raw));
}

bool wire_put_pair(struct bytes_buf *raw, struct bytes name, struct bytes value)
{
	return write_text(raw, name) && write_text(raw, value);
}

bool wire_put_text(struct bytes_buf *raw, struct bytes text)
{
	return write_text(raw, text);
}

bool wire_put_value(struct bytes_buf *raw, const struct wire_value *value)
{
	uint64_t word = 0;

	if (!write_u32(raw, value->type))
		return false;
	switch (value->type) {
	case WIRE_NULL:
		return true;
	case WIRE_INTEGER:
	case WIRE_BOOL:
		return write_u64(raw, (uint64_t)value->integer);
	case WIRE_REAL:
		memcpy(&word, &value->real, sizeof word);
		return write_u64(raw, word);
	case WIRE_TEXT:
	case WIRE_BLOB:
		return write_text(raw, value->text);
	}
	raw->failed = true; /* a value of no type */
	return false;
}

/* Takes one element off the list with the reader's rest. */
static bool next_done(struct wire_list *list, const struct reader *reader, bool is_good)
{
	if (!is_good || reader->failed) {
		list->n = 0;
		return false;
	}
	list->n--;
	list->raw = reader->left;
	return true;
}

bool wire_next_pair(struct wire_list *list, struct bytes *name, struct bytes *value)
{
	struct reader reader = { .left = list->raw, .failed = list->n == 0 };

	*name = read_text(&reader);
	*value = read_text(&reader);
	return next_done(list, &reader, true);
}

bool wire_next_value(struct wire_list *list, struct wire_value *ret)
{
	struct reader reader = { .left = list->raw, .failed = list->n == 0 };
	bool is_good = read_value(&reader, ret);

	return next_done(list, &reader, is_good);
}

bool wire_next_text(struct wire_list *list, struct bytes *ret)
{
	struct reader reader = { .left = list->raw, .failed = list->n == 0 };

	*ret = read_text(&reader);
	return next_done(list, &reader, true);
}
