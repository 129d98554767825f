/*
 * raw_cases.h - the table of bad HTTP input: bytes in, the one acceptable outcome out
 *
 * Rows carry the numbers of the table in docs/security.md. What a client may see stands here as a
 * literal, never computed.
 */
#ifndef RAW_CASES_H
#define RAW_CASES_H

#include <stdbool.h>
#include <stddef.h>

struct raw_case {
	int row;
	const char *name;
	/* What is sent: bytes (n of them; 0: up to the terminator), with filler repeated n_filler
	 * times in place of the first '\1'. */
	const char *bytes;
	size_t n;
	const char *filler;
	size_t n_filler;
	/* Statuses that are right for the first answer; -1: closing without an answer is. */
	int expected[4];
	/* Answers that must come in all: 1 but for pipelines. */
	unsigned n_answers;
	/* The server keeps the connection: the case ends when its answers have come. */
	bool keeps_open;
};

extern const struct raw_case raw_cases[];
extern const size_t n_raw_cases;

#endif
