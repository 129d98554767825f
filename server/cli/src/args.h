/*
 * args.h - the words behind a command: options, positions, and their help
 *
 * A command declares its options as a table; parsing fills it. An unknown option, a missing value
 * or a word too many is wrong usage (exit status 2) with a sentence that names it.
 */
#ifndef CLI_ARGS_H
#define CLI_ARGS_H

#include <stdbool.h>
#include <stddef.h>

struct args_option {
	const char *name;       /* "--tenant" */
	const char *value_name; /* "T", or NULL for a switch */
	const char *help;
	const char *value; /* set by parsing; for a switch "1"; a default may stand here */
};

#define ARGS_WORDS_MAX 8

struct args {
	const char *words[ARGS_WORDS_MAX]; /* what is not an option, in order */
	size_t n_words;
	bool wants_help;
};

/* Parses argv[0..argc-1], the words behind the command's own. Returns false, having told stderr
 * why, on wrong usage. options[n_options] are the command's; "--" ends options. */
bool args_parse(int argc, char *const *argv, struct args_option *options, size_t n_options,
	struct args *ret);

/* The value of an option, NULL when it was not given and has no default. */
const char *args_value(const struct args_option *options, size_t n_options, const char *name);

/* Prints the options, one a line, to stdout. */
void args_print(const struct args_option *options, size_t n_options);

#endif
