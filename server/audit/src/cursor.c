#include "cursor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "files.h"
#include "format.h"
#include "id.h"
#include "record.h"

int cursor_init(struct cursor *cursor, int folder, uint32_t lane, struct err *err)
{
	*cursor = (struct cursor){ .folder = folder, .lane = lane, .fd = -1 };
	cursor->buffer = malloc(CURSOR_BUFFER);
	if (!cursor->buffer)
		return ERR_SET(err, ERR_NOMEM, "no memory to read the journal");
	return 0;
}

void cursor_fini(struct cursor *cursor)
{
	if (cursor->fd >= 0)
		close(cursor->fd);
	free(cursor->buffer);
	*cursor = (struct cursor){ .fd = -1 };
}

static int read_at(
	int fd, uint64_t offset, uint8_t *out, size_t cap, size_t *ret_n, struct err *err)
{
	size_t n = 0;

	while (n < cap) {
		ssize_t got = pread(fd, out + n, cap - n, (off_t)(offset + n));
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return ERR_SET(err, ERR_IO, "cannot read a segment");
		if (got == 0)
			break;
		n += (size_t)got;
	}
	*ret_n = n;
	return 0;
}

int cursor_enter(struct cursor *cursor, uint64_t number, bool *ret_is_there, int64_t *ret_wall_us,
	struct err *err)
{
	char name[FILES_NAME_SIZE];
	uint8_t header[SEGMENT_HEADER];
	size_t n = 0;

	*ret_is_there = false;
	files_name(cursor->lane, number, name);
	int fd = openat(cursor->folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return errno == ENOENT ? 0 : ERR_SET(err, ERR_IO, "cannot open %s", name);
	if (read_at(fd, 0, header, sizeof(header), &n, err) != 0) {
		close(fd);
		return -1;
	}
	uint64_t magic = n == sizeof(header) ? get_u64(header + SEGMENT_AT_MAGIC) : 1;
	if (magic != SEGMENT_MAGIC) {
		close(fd);
		return magic == 0 ? 0 : ERR_SET(err, ERR_CORRUPT, "%s is no segment", name);
	}
	if (cursor->fd >= 0)
		close(cursor->fd);
	cursor->fd = fd;
	cursor->number = number;
	cursor_seek(cursor, SEGMENT_HEADER);
	if (ret_wall_us)
		*ret_wall_us = (int64_t)get_u64(header + SEGMENT_AT_WALL);
	*ret_is_there = true;
	return 0;
}

void cursor_seek(struct cursor *cursor, uint64_t offset)
{
	cursor->start = offset;
	cursor->n = cursor->used = 0;
	cursor->is_settled = false;
}

uint64_t cursor_offset(const struct cursor *cursor)
{
	return cursor->start + cursor->used;
}

static int refill(struct cursor *cursor, struct err *err)
{
	cursor->start += cursor->used;
	cursor->n = cursor->used = 0;
	return read_at(cursor->fd, cursor->start, cursor->buffer, CURSOR_BUFFER, &cursor->n, err);
}

/* A writer stores the commit word last, but a copy of the page need not read it first: the last
 * record in the buffer is believed only when the buffer was read once more after it had been seen.
 */
static bool needs_another_look(struct cursor *cursor, size_t length)
{
	size_t left = cursor->n - cursor->used;
	const uint8_t *p = cursor->buffer + cursor->used;

	if (cursor->is_settled)
		return false;
	return length == 0 || left < length + 4 || get_u32(p + length + RECORD_AT_COMMIT) == 0;
}

int cursor_next(struct cursor *cursor, struct audit_entry *ret, bool *ret_found, struct err *err)
{
	*ret_found = false;
	for (;;) {
		size_t left = cursor->n - cursor->used;
		const uint8_t *p = cursor->buffer + cursor->used;
		if (left < RECORD_MAX && !cursor->is_settled) {
			if (refill(cursor, err) != 0)
				return -1;
			cursor->is_settled = true;
			left = cursor->n;
			p = cursor->buffer;
			/* What was not seen before this look was not judged by an earlier one. */
			if (left >= RECORD_MAX)
				cursor->is_settled = false;
		}
		if (left < RECORD_MIN || get_u32(p + RECORD_AT_COMMIT) == 0) {
			cursor_seek(cursor, cursor_offset(cursor));
			return 0;
		}
		size_t length = record_length(p);
		if (needs_another_look(cursor, length)) {
			if (refill(cursor, err) != 0)
				return -1;
			cursor->is_settled = true;
			continue;
		}
		cursor->is_settled = false;
		if (length == 0 || length > left || !record_read(p, length, ret))
			return ERR_SET(err, ERR_CORRUPT,
				"lane %u segment %llu is damaged at byte %llu: run tenon-verify",
				cursor->lane, (unsigned long long)cursor->number,
				(unsigned long long)cursor_offset(cursor));
		ret->position.lane = cursor->lane;
		cursor->used += length;
		*ret_found = true;
		return 0;
	}
}

static bool text_takes(struct bytes wanted, struct bytes text)
{
	return wanted.n == 0 || bytes_eq(wanted, text);
}

bool filter_takes(const struct audit_filter *filter, const struct audit_entry *entry)
{
	const struct audit_record *record = &entry->record;
	struct bytes action = filter->action;
	bool is_start = action.n > 0 && action.p[action.n - 1] == '.';

	return (!filter->kind || filter->kind == record->kind) &&
	       (!filter->decision || filter->decision == record->decision) &&
	       (!filter->since_us || entry->wall_us >= filter->since_us) &&
	       (!filter->until_us || entry->wall_us < filter->until_us) &&
	       text_takes(filter->tenant, record->tenant) &&
	       text_takes(filter->plugin, record->plugin) &&
	       text_takes(filter->actor, record->actor) &&
	       (is_start ? bytes_starts_with(record->action, action)
			 : text_takes(action, record->action)) &&
	       bytes_starts_with(record->object, filter->object) &&
	       (!filter->trace || (record->trace && memcmp(filter->trace, record->trace,
							    ID_TRACE_BYTES) == 0));
}
