#include "audit_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "cursor.h"
#include "files.h"
#include "journal.h"

/* One lane of the merge: its next matching entry, or none for now. */
struct source {
	struct cursor cursor;
	bool is_open;
	bool has_entry;
	struct audit_entry entry;
};

struct audit_reader {
	int folder;
	struct audit_filter filter;
	struct source sources[JOURNAL_LANES];
};

/* Enters the newest segment that was begun at or before the filter's start, or the first one. */
static int enter_first(struct source *source, const struct files *files, uint32_t lane,
	int64_t since_us, struct err *err)
{
	size_t from, to;

	files_of_lane(files, lane, &from, &to);
	for (size_t i = to; i > from; i--) {
		int64_t wall_us;
		if (cursor_enter(&source->cursor, files->entries[i - 1].number, &source->is_open,
			    &wall_us, err) != 0)
			return -1;
		if (source->is_open && since_us > 0 && wall_us <= since_us)
			return 0;
	}
	source->is_open = source->cursor.number > 0;
	return 0;
}

int audit_reader_open(const char *folder, const struct audit_filter *filter,
	struct audit_reader **ret, struct err *err)
{
	DEFER(audit_reader_close) struct audit_reader *reader = calloc(1, sizeof(*reader));
	DEFER(files_fini) struct files files = { 0 };

	if (!reader)
		return ERR_SET(err, ERR_NOMEM, "no memory for a reader");
	reader->filter = *filter;
	for (unsigned i = 0; i < JOURNAL_LANES; i++)
		reader->sources[i].cursor.fd = -1;
	reader->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (reader->folder < 0)
		return ERR_SET(err, ERR_IO, "cannot open %s", folder);
	if (files_list(reader->folder, &files, err) != 0)
		return -1;
	for (unsigned i = 0; i < JOURNAL_LANES; i++) {
		size_t from, to;
		/* A lane that is born later is found when the reader is opened anew. */
		files_of_lane(&files, i, &from, &to);
		if (from == to)
			continue;
		struct source *source = &reader->sources[i];
		if (cursor_init(&source->cursor, reader->folder, i, err) != 0 ||
			enter_first(source, &files, i, filter->since_us, err) != 0)
			return -1;
	}
	*ret = reader;
	reader = NULL; /* handed over */
	return 0;
}

void audit_reader_close(struct audit_reader *reader)
{
	if (!reader)
		return;
	for (unsigned i = 0; i < JOURNAL_LANES; i++)
		cursor_fini(&reader->sources[i].cursor);
	if (reader->folder >= 0)
		close(reader->folder);
	free(reader);
}

/* The lane's next record in whatever segment it is. When the next segment is begun, the open one
 * takes no more: one last look at it, then on. */
static int next_of_lane(struct source *source, bool *ret_found, struct err *err)
{
	struct cursor *cursor = &source->cursor;
	bool has_next;

	*ret_found = false;
	if (!source->is_open && cursor_enter(cursor, 1, &source->is_open, NULL, err) != 0)
		return -1;
	while (source->is_open) {
		if (cursor_next(cursor, &source->entry, ret_found, err) != 0)
			return -1;
		if (*ret_found)
			return 0;
		uint64_t offset = cursor_offset(cursor), number = cursor->number;
		if (cursor_enter(cursor, number + 1, &has_next, NULL, err) != 0)
			return -1;
		if (!has_next)
			return 0;
		bool is_there;
		if (cursor_enter(cursor, number, &is_there, NULL, err) != 0)
			return -1;
		if (is_there)
			cursor_seek(cursor, offset);
		if (cursor_next(cursor, &source->entry, ret_found, err) != 0)
			return -1;
		if (*ret_found)
			return 0;
		if (cursor_enter(cursor, number + 1, &has_next, NULL, err) != 0)
			return -1;
	}
	return 0;
}

static int fill(struct audit_reader *reader, struct source *source, struct err *err)
{
	while (!source->has_entry) {
		bool found;
		if (next_of_lane(source, &found, err) != 0)
			return -1;
		if (!found)
			return 0;
		source->has_entry = filter_takes(&reader->filter, &source->entry);
	}
	return 0;
}

int audit_reader_next(
	struct audit_reader *reader, struct audit_entry *ret, bool *ret_found, struct err *err)
{
	struct source *first = NULL;

	*ret_found = false;
	for (unsigned i = 0; i < JOURNAL_LANES; i++) {
		struct source *source = &reader->sources[i];
		if (!source->cursor.buffer)
			continue;
		if (fill(reader, source, err) != 0)
			return -1;
		if (source->has_entry && (!first || source->entry.wall_us < first->entry.wall_us))
			first = source;
	}
	if (!first)
		return 0;
	*ret = first->entry;
	first->has_entry = false;
	*ret_found = true;
	return 0;
}
