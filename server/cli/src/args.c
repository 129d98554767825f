#include "args.h"

#include <stdio.h>
#include <string.h>

static struct args_option *find(
	struct args_option *options, size_t n, const char *name, size_t length)
{
	for (size_t i = 0; i < n; i++)
		if (strlen(options[i].name) == length &&
			strncmp(options[i].name, name, length) == 0)
			return &options[i];
	return NULL;
}

bool args_parse(int argc, char *const *argv, struct args_option *options, size_t n_options,
	struct args *ret)
{
	bool only_words = false;

	*ret = (struct args){ 0 };
	for (int i = 0; i < argc; i++) {
		const char *word = argv[i];
		if (only_words || word[0] != '-' || strcmp(word, "-") == 0) {
			if (ret->n_words == ARGS_WORDS_MAX) {
				fprintf(stderr, "tenon: too many words, at '%s'\n", word);
				return false;
			}
			ret->words[ret->n_words++] = word;
			continue;
		}
		if (strcmp(word, "--") == 0) {
			only_words = true;
			continue;
		}
		if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
			ret->wants_help = true;
			continue;
		}
		size_t length = strcspn(word, "=");
		struct args_option *option = find(options, n_options, word, length);
		if (!option) {
			fprintf(stderr, "tenon: unknown option '%.*s'; --help lists them\n",
				(int)length, word);
			return false;
		}
		if (!option->value_name) {
			if (word[length] == '=') {
				fprintf(stderr, "tenon: %s takes no value\n", option->name);
				return false;
			}
			option->value = "1";
		} else if (word[length] == '=') {
			option->value = word + length + 1;
		} else if (i + 1 < argc) {
			option->value = argv[++i];
		} else {
			fprintf(stderr, "tenon: %s needs a value: %s %s\n", option->name,
				option->name, option->value_name);
			return false;
		}
	}
	return true;
}

const char *args_value(const struct args_option *options, size_t n_options, const char *name)
{
	for (size_t i = 0; i < n_options; i++)
		if (strcmp(options[i].name, name) == 0)
			return options[i].value;
	return NULL;
}

void args_print(const struct args_option *options, size_t n_options)
{
	for (size_t i = 0; i < n_options; i++) {
		char left[64];
		(void)snprintf(left, sizeof left, "%s %s", options[i].name,
			options[i].value_name ? options[i].value_name : "");
		printf("  %-26s %s", left, options[i].help);
		if (options[i].value_name && options[i].value)
			printf(" (default %s)", options[i].value);
		printf("\n");
	}
}
