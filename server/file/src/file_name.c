#include "file_name.h"

#include <stdio.h>
#include <string.h>

#define STEM_MAX      100
#define STEM_MIN      3
#define EXTENSION_MAX 20

static bool is_lower(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool is_upper(char c)
{
	return c >= 'A' && c <= 'Z';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

bool file_name_is_component(struct bytes text)
{
	if (text.n == 0 || text.n > FILE_NAME_MAX || text.p[0] == '.')
		return false;
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];
		if (!is_lower(c) && !is_upper(c) && !is_digit(c) && c != '_' && c != '-' &&
			c != '.')
			return false;
	}
	return true;
}

/* Where the extension begins: at the last dot, or, of "x.tar.gz", at the one before. */
static size_t find_extension(struct bytes name)
{
	const char *dot = name.n ? memrchr(name.p, '.', name.n) : NULL;

	if (!dot)
		return name.n;
	size_t at = (size_t)(dot - name.p);
	if (at > 4 && memcmp(dot - 4, ".tar", 4) == 0)
		at -= 4;
	return at;
}

static size_t clean_extension(struct bytes extension, char out[static EXTENSION_MAX + 2])
{
	char kept[EXTENSION_MAX];
	size_t n = 0;

	/* From its end, as the end says what the file is. */
	for (size_t i = extension.n; i-- > 0 && n < sizeof kept;) {
		char c = extension.p[i];
		if (is_lower(c) || is_upper(c) || is_digit(c) ||
			(c == '.' && n > 0 && kept[n - 1] != '.'))
			kept[n++] = c;
	}
	while (n > 0 && kept[n - 1] == '.')
		n--;
	if (n == 0)
		return 0;
	out[0] = '.';
	for (size_t i = 0; i < n; i++)
		out[1 + i] = kept[n - 1 - i];
	return 1 + n;
}

/* "MyFile (1)" -> "my_file_1" */
static size_t clean_stem(struct bytes stem, char out[static STEM_MAX])
{
	size_t n = 0;
	bool is_gap = false;

	for (size_t i = 0; i < stem.n && n < STEM_MAX - 1; i++) {
		char c = stem.p[i];
		bool is_word = is_lower(c) || is_upper(c) || is_digit(c);
		bool is_hump = is_upper(c) && i > 0 && !is_upper(stem.p[i - 1]);

		if (is_word && n > 0 && (is_gap || is_hump))
			out[n++] = '_';
		if (is_word)
			out[n++] = is_upper(c) ? (char)(c - 'A' + 'a') : c;
		is_gap = !is_word;
	}
	return n;
}

void file_name_make(struct bytes original, const char *extension,
	const char random[static 2 * FILE_NAME_RANDOM], char out[static FILE_NAME_MAX + 1])
{
	const char *slash = original.n ? memrchr(original.p, '/', original.n) : NULL;
	char stem[STEM_MAX + FILE_NAME_RANDOM], tail[EXTENSION_MAX + 2];

	if (slash)
		original =
			(struct bytes){ slash + 1, original.n - (size_t)(slash + 1 - original.p) };
	size_t at = find_extension(original);
	size_t n_stem = clean_stem((struct bytes){ original.p, at }, stem);
	size_t n_tail = clean_extension(
		(struct bytes){ original.p ? original.p + at : NULL, original.n - at }, tail);

	if (n_stem < STEM_MIN) {
		memcpy(stem + n_stem, random + FILE_NAME_RANDOM, FILE_NAME_RANDOM);
		n_stem += FILE_NAME_RANDOM;
	}
	if (n_tail == 0)
		n_tail = clean_extension(bytes_of(extension), tail);
	(void)snprintf(out, FILE_NAME_MAX + 1, "%.*s_%.*s%.*s", (int)n_stem, stem, FILE_NAME_RANDOM,
		random, (int)n_tail, tail);
}
