#include <stdio.h>
#include <string.h>

#include "text_multipart.h"
#include "unit.h"

#define HEAD(text) "--b\r\nContent-Disposition: form-data; " text "\r\n\r\n"
#define END        "\r\n--b--"

/* Reads a body in pieces of n_piece bytes. Writes "name[filename]=data;" for each part to out.
 * NULL, or why not. */
static const char *read_form(struct bytes body, size_t n_piece, uint32_t max_parts, char *out)
{
	static struct text_multipart multipart;
	struct bytes data;

	text_multipart_init(&multipart, BYTES("b"), max_parts);
	for (size_t at = 0; at < body.n; at += n_piece) {
		struct bytes piece = { body.p + at, body.n - at < n_piece ? body.n - at : n_piece };
		for (;;) {
			switch (text_multipart_next(&multipart, &piece, &data)) {
			case TEXT_MULTIPART_MORE:
				break;
			case TEXT_MULTIPART_PART:
				out += sprintf(out, "%.*s", (int)multipart.part.name.n,
					multipart.part.name.p);
				if (multipart.part.is_file)
					out += sprintf(out, "[%.*s]",
						(int)multipart.part.filename.n,
						multipart.part.filename.p);
				out += sprintf(out, "=");
				continue;
			case TEXT_MULTIPART_DATA:
				memcpy(out, data.p, data.n);
				out += data.n;
				continue;
			case TEXT_MULTIPART_PART_END:
				out += sprintf(out, ";");
				continue;
			case TEXT_MULTIPART_BROKEN:
				return text_multipart_reason(&multipart);
			}
			break;
		}
	}
	*out = '\0';
	return text_multipart_is_whole(&multipart) ? NULL : text_multipart_reason(&multipart);
}

static void a_form_reads_the_same_however_it_is_cut(void)
{
	static const char body[] = HEAD("name=\"a\"") "1" HEAD("name=\"x\"") "--" HEAD(
		"name=\"f\"; filename=\"a b.txt\"") "\r\n--\r\r\n-b\r\n--\r\n" END "\r\n";
	static const char expected[] = "a=1;x=--;f[a b.txt]=\r\n--\r\r\n-b\r\n--\r\n;";
	char text[512], out[512];

	/* HEAD lacks the CR LF before all boundaries but the first. */
	size_t n = 0;
	for (const char *p = body; *p;) {
		if (p != body && strncmp(p, "--b\r\nC", 6) == 0)
			n += (size_t)sprintf(text + n, "\r\n");
		text[n++] = *p++;
	}
	for (size_t n_piece = 1; n_piece <= n; n_piece++) {
		const char *reason = read_form((struct bytes){ text, n }, n_piece, 9, out);
		CU_ASSERT_PTR_NULL(reason);
		CU_ASSERT_STRING_EQUAL(out, expected);
	}
}

static void what_two_readers_could_take_differently_is_refused(void)
{
	static const char *const bodies[] = {
		"",
		"--b",
		"--b\r\n",
		"x--b--",
		"\r\n--b--",
		"--b--x",
		"--b--\r\nx",
		"--b--\n",
		"--b-x",
		"--b \r\n",
		"--b\n",
		"--c--",
		"--bc--",
		HEAD("name=\"a\"") "1",
		HEAD("name=\"a\"") "1\r\n--bc\r\n",
		HEAD("name=\"a\"") "1\r\n--b \r\n",
		HEAD("name=a") "1" END,
		HEAD("name=\"\"") "1" END,
		HEAD("name=\"a") "1" END,
		HEAD("name=\"a\"; name=\"b\"") "1" END,
		HEAD("name=\"a\"; filename=\"b\"; filename=\"c\"") "1" END,
		HEAD("name=\"a\"; filename*=utf-8''c") "1" END,
		HEAD("name=\"a\"; filename=\"b\"; filename*=utf-8''c") "1" END,
		HEAD("name=\"a\\\"b\"") "1" END,
		HEAD("name=\"a\\b\"") "1" END,
		HEAD("name=\"a\x01\"") "1" END,
		HEAD("name=\"a\xff\"") "1" END,
		HEAD("name=\"a\" x") "1" END,
		HEAD("filename=\"a\"") "1" END,
		"--b\r\n\r\n1" END,
		"--b\r\nContent-Type: text/plain\r\n\r\n1" END,
		"--b\r\nContent-Disposition: attachment; name=\"a\"\r\n\r\n1" END,
		"--b\r\nContent-Disposition: form-data; name=\"a\"\n\r\n1" END,
		"--b\r\nContent-Disposition: form-data;\r\n name=\"a\"\r\n\r\n1" END,
		"--b\r\n Content-Disposition: form-data; name=\"a\"\r\n\r\n1" END,
		"--b\r\nContent-Disposition : form-data; name=\"a\"\r\n\r\n1" END,
		"--b\r\nContent-Disposition: form-data; name=\"a\"\r\nContent-Disposition: "
		"form-data; name=\"b\"\r\n\r\n1" END,
		"--b\r\nContent-Disposition: form-data; name=\"a\"\r\nContent-Type: a/b\r\n"
		"Content-Type: c/d\r\n\r\n1" END,
		"--b\r\nContent-Disposition: form-data; name=\"a\"\r\n"
		"Content-Transfer-Encoding: base64\r\n\r\n1" END,
		"--b\r\nContent-Disposition: form-data; name=\"a\"\r\rX: y\r\n\r\n1" END,
	};
	char out[512];

	for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++)
		for (size_t n_piece = 1; n_piece < 80; n_piece += 78) {
			const char *reason = read_form(bytes_of(bodies[i]), n_piece, 9, out);
			CU_ASSERT_PTR_NOT_NULL(reason);
			if (!reason)
				fprintf(stderr, "row %zu passed\n", i);
		}
}

static void a_form_may_be_empty_and_a_part_too(void)
{
	char out[128];

	CU_ASSERT_PTR_NULL(read_form(BYTES("--b--"), 1, 0, out));
	CU_ASSERT_PTR_NULL(read_form(BYTES("--b--\r\n"), 1, 0, out));
	CU_ASSERT_PTR_NULL(read_form(BYTES(HEAD("name=\"a\"; filename=\"\"") END), 3, 1, out));
	CU_ASSERT_STRING_EQUAL(out, "a[]=;");
}

static void parts_and_headers_are_bounded(void)
{
	static char body[8192], out[8192];
	size_t n = (size_t)sprintf(body, HEAD("name=\"a\"") "1\r\n" HEAD("name=\"b\"") "2" END);

	CU_ASSERT_PTR_NULL(read_form((struct bytes){ body, n }, n, 2, out));
	CU_ASSERT_PTR_NOT_NULL(read_form((struct bytes){ body, n }, n, 1, out));
	for (size_t more = 0; more < 2; more++) {
		/* "Content-Disposition: form-data; name=\"...\"" CR LF CR LF */
		int width = TEXT_MULTIPART_HEADER_MAX - 43 + (int)more;
		n = (size_t)sprintf(body, HEAD("name=\"%0*d\"") END, width, 1);
		const char *reason = read_form((struct bytes){ body, n }, n, 1, out);
		CU_ASSERT_EQUAL(reason != NULL, more == 1);
	}
}

static void a_boundary_is_taken_from_its_one_spelling(void)
{
	static const struct {
		const char *type, *boundary; /* NULL: refused */
	} rows[] = {
		{ "multipart/form-data; boundary=abc", "abc" },
		{ "Multipart/Form-Data;boundary=\"a b\"", NULL },
		{ "multipart/form-data; boundary=\"a'()+_,-./:=?\"", "a'()+_,-./:=?" },
		{ "multipart/form-data; charset=utf-8; boundary=abc ", "abc" },
		{ "multipart/form-data; boundary=abc; charset=\"UTF-8\"", "abc" },
		{ "multipart/form-data; boundary=abc; boundary=abc", NULL },
		{ "multipart/form-data; boundary=", NULL },
		{ "multipart/form-data; boundary=\"", NULL },
		{ "multipart/form-data; boundary", NULL },
		{ "multipart/form-data; x=y; boundary=abc", NULL },
		{ "multipart/form-data", NULL },
		{ "multipart/form-datax; boundary=abc", NULL },
		{ "multipart/mixed; boundary=abc", NULL },
		{ "multipart/form-data; boundary=a\tb", NULL },
		{ "", NULL },
	};
	char longest[64 + TEXT_MULTIPART_BOUNDARY_MAX];
	struct bytes boundary;

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		bool is_one = text_multipart_boundary(bytes_of(rows[i].type), &boundary);
		CU_ASSERT_EQUAL(is_one, rows[i].boundary != NULL);
		CU_ASSERT(!is_one || bytes_eq_string(boundary, rows[i].boundary));
	}
	for (int n = 70; n <= 71; n++) {
		(void)sprintf(longest, "multipart/form-data; boundary=%0*d", n, 1);
		CU_ASSERT_EQUAL(text_multipart_boundary(bytes_of(longest), &boundary), n == 70);
	}
}

static const struct unit_test tests[] = {
	UNIT(a_form_reads_the_same_however_it_is_cut),
	UNIT(what_two_readers_could_take_differently_is_refused),
	UNIT(a_form_may_be_empty_and_a_part_too),
	UNIT(parts_and_headers_are_bounded),
	UNIT(a_boundary_is_taken_from_its_one_spelling),
};

UNIT_MAIN("text_multipart", tests)
