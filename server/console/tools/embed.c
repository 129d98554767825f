/*
 * embed - writes the files of a folder as one C source of constants: embed OUT FOLDER FILE...
 *
 * Runs at build time, on the machine that builds. FILE... are paths below FOLDER. The same files
 * give the same bytes: names are sorted here, and the gzip header carries no name and no time.
 *
 * Bytes are written as string literals with octal escapes, since compilers read a string of half a
 * megabyte many times faster than an initialiser of half a million numbers.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* No single file of the console comes near this; a source map that slipped in would. */
#define FILE_LIMIT_BYTES (4u * 1024 * 1024)

struct data {
	unsigned char *p;
	size_t n;
};

static const struct {
	const char *extension, *content_type;
} types[] = {
	{ ".css", "text/css; charset=utf-8" },
	{ ".html", "text/html; charset=utf-8" },
	{ ".ico", "image/x-icon" },
	{ ".js", "text/javascript; charset=utf-8" },
	{ ".json", "application/json" },
	{ ".png", "image/png" },
	{ ".svg", "image/svg+xml" },
	{ ".txt", "text/plain; charset=utf-8" },
	{ ".webmanifest", "application/manifest+json" },
	{ ".woff2", "font/woff2" },
};

static void die(const char *what, const char *name)
{
	(void)fprintf(stderr, "embed: %s: %s\n", name, what);
	exit(1);
}

static const char *content_type_of(const char *name)
{
	const char *dot = strrchr(name, '.');
	for (size_t i = 0; dot && i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(dot, types[i].extension) == 0)
			return types[i].content_type;
	die("no content type is known for this extension", name);
	return NULL;
}

static struct data read_file(const char *folder, const char *name)
{
	char path[4096];
	int n = snprintf(path, sizeof(path), "%s/%s", folder, name);
	if (n < 0 || (size_t)n >= sizeof(path))
		die("path too long", name);
	FILE *file = fopen(path, "rb");
	if (!file)
		die(strerror(errno), path);
	struct data data = { malloc(FILE_LIMIT_BYTES + 1), 0 };
	if (!data.p)
		die("out of memory", path);
	data.n = fread(data.p, 1, FILE_LIMIT_BYTES + 1, file);
	if (ferror(file))
		die("cannot be read", path);
	if (data.n > FILE_LIMIT_BYTES)
		die("is larger than a file of the console may be", path);
	(void)fclose(file);
	return data;
}

static struct data compress_gzip(struct data plain)
{
	/* 15 + 16: the largest window, in a gzip frame; its header then has time 0. */
	z_stream stream = { 0 };
	if (deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY) != Z_OK)
		die("zlib does not start", "gzip");
	size_t bound = deflateBound(&stream, plain.n);
	struct data out = { malloc(bound), 0 };
	if (!out.p)
		die("out of memory", "gzip");
	stream.next_in = plain.p;
	stream.avail_in = (uInt)plain.n;
	stream.next_out = out.p;
	stream.avail_out = (uInt)bound;
	if (deflate(&stream, Z_FINISH) != Z_STREAM_END)
		die("zlib does not finish", "gzip");
	out.n = stream.total_out;
	(void)deflateEnd(&stream);
	return out;
}

/* FNV-1a. The names tell honest versions of a file apart; nobody gains by making two alike. */
static uint64_t hash_more(uint64_t hash, const unsigned char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		hash = (hash ^ p[i]) * UINT64_C(0x100000001b3);
	return hash;
}

#define HASH_START UINT64_C(0xcbf29ce484222325)

static void write_literal(FILE *out, const unsigned char *p, size_t n)
{
	size_t column = 0;
	(void)fputs("\t\"", out);
	for (size_t i = 0; i < n; i++) {
		unsigned char c = p[i];
		/* The question mark, since two of them could start a trigraph. */
		if (c >= ' ' && c < 127 && c != '"' && c != '\\' && c != '?')
			column += fputc(c, out) != EOF;
		else
			column += fprintf(out, "\\%03o", (unsigned)c) == 4 ? 4 : 0;
		if (column >= 4000 && i + 1 < n) {
			(void)fputs("\"\n\t\"", out);
			column = 0;
		}
	}
	(void)fputs("\"", out);
}

static void write_constant(FILE *out, const char *kind, int number, struct data data)
{
	(void)fprintf(out, "static const char %s_%d[] =\n", kind, number);
	write_literal(out, data.p, data.n);
	(void)fputs(";\n", out);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Writes the two constants of file number i to out and its row to rows. Returns hash with the
 * file's name and content added. */
static uint64_t embed_file(
	FILE *out, FILE *rows, int i, const char *folder, const char *name, uint64_t hash)
{
	struct data plain = read_file(folder, name);
	struct data gzip = compress_gzip(plain);
	bool keeps_gzip = gzip.n < plain.n;
	unsigned long long etag = hash_more(HASH_START, plain.p, plain.n);
	const char *type = content_type_of(name);
	bool is_hashed = strncmp(name, "assets/", 7) == 0;

	write_constant(out, "identity", i, plain);
	(void)fprintf(rows, "\t{ { \"%s\", %zu }, { \"%s\", %zu },\n\t\t{ identity_%d, %zu }, ",
		name, strlen(name), type, strlen(type), i, plain.n);
	if (keeps_gzip) {
		write_constant(out, "gzip", i, gzip);
		(void)fprintf(rows, "{ gzip_%d, %zu },\n", i, gzip.n);
	} else {
		(void)fprintf(rows, "{ 0 },\n");
	}
	(void)fprintf(rows,
		"\t\t{ \"\\\"%016llx\\\"\", 18 }, { \"\\\"%016llx-gz\\\"\", 21 }, %s },\n", etag,
		etag, is_hashed ? "true" : "false");

	hash = hash_more(hash, (const unsigned char *)name, strlen(name) + 1);
	hash = hash_more(hash, plain.p, plain.n);
	free(plain.p);
	free(gzip.p);
	return hash;
}

int main(int argc, char **argv)
{
	if (argc < 4) {
		(void)fputs("usage: embed OUT FOLDER FILE...\n", stderr);
		return 2;
	}
	const char *folder = argv[2];
	char **names = argv + 3;
	int n_names = argc - 3;
	qsort(names, (size_t)n_names, sizeof(names[0]), compare_names);

	char *table = NULL;
	size_t n_table = 0;
	FILE *rows = open_memstream(&table, &n_table);
	FILE *out = fopen(argv[1], "wb");
	if (!out || !rows)
		die(strerror(errno), argv[1]);

	(void)fputs("/* Written by embed from the built console. Not to be edited. */\n"
		    "#include \"embedded.h\"\n\n",
		out);
	uint64_t hash = HASH_START;
	bool has_page = false;
	for (int i = 0; i < n_names; i++) {
		has_page |= strcmp(names[i], "index.html") == 0;
		hash = embed_file(out, rows, i, folder, names[i], hash);
	}
	if (!has_page)
		die("holds no index.html", folder);
	(void)fclose(rows);
	(void)fprintf(out,
		"\nconst struct embedded embedded_files[] = {\n%s};\n"
		"const size_t embedded_n_files = %d;\n"
		"const struct bytes embedded_build_id = { \"%016llx\", 16 };\n",
		table, n_names, (unsigned long long)hash);
	free(table);
	if (ferror(out) || fclose(out) != 0)
		die("cannot be written", argv[1]);
	return 0;
}
