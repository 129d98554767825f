#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "internal.h"
#include "layout.h"

enum verify_result broken(struct verify *verify, struct lane *lane, enum verify_result result,
	const char *file, uint64_t offset, const char *format, ...)
{
	struct verify_report *report = verify->report;
	va_list args;

	report->lane = lane ? (int)lane->id : -1;
	report->offset = offset;
	snprintf(report->file, sizeof(report->file), "%s", file);
	va_start(args, format);
	(void)vsnprintf(report->what, sizeof(report->what), format, args);
	va_end(args);
	if (lane) {
		report->seq = lane->seq + 1;
		report->before = lane->before;
		look_behind(verify, lane, offset);
	}
	return result;
}

/* Records begin at multiples of 8, and a header that is one has its commit word right. */
void look_behind(struct verify *verify, struct lane *lane, uint64_t offset)
{
	const uint8_t *p;

	if (lane->window.fd < 0)
		return;
	for (uint64_t at = offset / 8 * 8 + 8; at < offset + WINDOW_BYTES / 2; at += 8) {
		if (window_get(&lane->window, at, RECORD_HEADER, &p, NULL) != 0 || !p)
			return;
		if (le32(p) == 0 || le32(p) != layout_commit_word(p))
			continue;
		verify->report->after = (struct verify_neighbour){
			.is_there = true,
			.seq = le64(p + RECORD_SEQ),
			.offset = at,
			.wall_us = (int64_t)le64(p + RECORD_WALL),
		};
		return;
	}
}

const char *verify_result_name(enum verify_result result)
{
	switch (result) {
	case VERIFY_OK:
		return "whole and unchanged";
	case VERIFY_USAGE:
		return "wrong usage";
	case VERIFY_UNREADABLE:
		return "unreadable";
	case VERIFY_TORN:
		return "torn tail";
	case VERIFY_TAMPERED:
		return "tampered record";
	case VERIFY_GAP:
		return "gap or other order";
	case VERIFY_BAD_SEAL:
		return "bad seal";
	case VERIFY_TRUNCATED:
		return "truncated below a seal";
	case VERIFY_MISSING:
		return "missing file";
	}
	return "unknown";
}
