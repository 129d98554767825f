#include "console.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "unit.h"

/* BYTES() for the initialiser of a constant. */
#define TEXT(literal)                                                                              \
	{                                                                                          \
		"" literal, sizeof(literal) - 1                                                    \
	}

static bool contains(struct bytes text, const char *part)
{
	return memmem(text.p, text.n, part, strlen(part)) != NULL;
}

static struct console_asset the_page(void)
{
	struct console_asset page = { 0 };
	CU_ASSERT_EQUAL_FATAL(console_find(BYTES("/_/"), false, &page), CONSOLE_FOUND);
	return page;
}

/* Calls check with the path of each asset that the page names. Returns how many there were. */
static size_t each_asset(void (*check)(struct bytes path))
{
	struct bytes page = the_page().body;
	size_t n = 0;
	const char *at = page.p, *end = page.p + page.n;
	while ((at = memmem(at, (size_t)(end - at), "\"/_/assets/", 11))) {
		const char *close = memchr(at + 1, '"', (size_t)(end - at - 1));
		CU_ASSERT_PTR_NOT_NULL_FATAL(close);
		check((struct bytes){ at + 1, (size_t)(close - at - 1) });
		at = close;
		n++;
	}
	return n;
}

static void the_page_is_never_stored(void)
{
	struct console_asset page = the_page();
	CU_ASSERT(contains(page.body, "<!doctype html>"));
	CU_ASSERT(bytes_eq_string(page.content_type, "text/html; charset=utf-8"));
	CU_ASSERT(bytes_eq_string(page.cache_control, "no-store"));
	CU_ASSERT_EQUAL(page.etag.n, 0);
	CU_ASSERT_FALSE(page.is_gzip);
}

static void every_console_path_is_answered_with_the_page(void)
{
	static const struct bytes paths[] = { TEXT("/_/index.html"), TEXT("/_/plugins/billing"),
		TEXT("/_/no/such.js"), TEXT("/_/asset"), TEXT("/_//"), TEXT("/_/%00") };
	struct bytes page = the_page().body;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		struct console_asset asset = { 0 };
		CU_ASSERT_EQUAL(console_find(paths[i], false, &asset), CONSOLE_FOUND);
		CU_ASSERT_PTR_EQUAL(asset.body.p, page.p);
		CU_ASSERT(bytes_eq_string(asset.cache_control, "no-store"));
	}
}

static void a_missing_asset_is_not_found_and_never_the_page(void)
{
	static const struct bytes paths[] = { TEXT("/_/assets/"), TEXT("/_/assets/index-0.js"),
		TEXT("/_/assets/../index.html"), TEXT("/"), TEXT(""), TEXT("/_"), TEXT("/_x/"),
		TEXT("/assets/index.js"), { 0 } };
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		struct console_asset asset = { .body = BYTES("as before") };
		CU_ASSERT_EQUAL(console_find(paths[i], true, &asset), CONSOLE_NOT_FOUND);
		CU_ASSERT(bytes_eq_string(asset.body, "as before"));
	}
}

static void check_kept_for_ever(struct bytes path)
{
	struct console_asset asset = { 0 };
	CU_ASSERT_EQUAL_FATAL(console_find(path, true, &asset), CONSOLE_FOUND);
	CU_ASSERT(bytes_eq_string(asset.cache_control, "public, max-age=31536000, immutable"));
	CU_ASSERT(bytes_eq_string(asset.content_type, "text/javascript; charset=utf-8") ||
		  bytes_eq_string(asset.content_type, "text/css; charset=utf-8"));
}

static void assets_that_the_page_names_exist_and_are_kept_for_ever(void)
{
	CU_ASSERT(each_asset(check_kept_for_ever) >= 2);
}

static void check_inflates(struct bytes path)
{
	struct console_asset plain = { 0 }, gzip = { 0 };
	CU_ASSERT_EQUAL_FATAL(console_find(path, false, &plain), CONSOLE_FOUND);
	CU_ASSERT_EQUAL_FATAL(console_find(path, true, &gzip), CONSOLE_FOUND);
	CU_ASSERT_FALSE(plain.is_gzip);
	if (!gzip.is_gzip)
		return;
	CU_ASSERT(gzip.body.n < plain.body.n);
	CU_ASSERT(plain.etag.n == 0 || !bytes_eq(gzip.etag, plain.etag));

	unsigned char *out = malloc(plain.body.n + 1);
	unsigned char *in = malloc(gzip.body.n);
	CU_ASSERT_FATAL(out != NULL && in != NULL);
	memcpy(in, gzip.body.p, gzip.body.n);
	z_stream stream = { .next_in = in,
		.avail_in = (uInt)gzip.body.n,
		.next_out = out,
		.avail_out = (uInt)plain.body.n + 1 };
	CU_ASSERT_EQUAL(inflateInit2(&stream, 15 + 16), Z_OK);
	CU_ASSERT_EQUAL(inflate(&stream, Z_FINISH), Z_STREAM_END);
	CU_ASSERT(bytes_eq((struct bytes){ (char *)out, stream.total_out }, plain.body));
	(void)inflateEnd(&stream);
	free(in);
	free(out);
}

static void both_forms_of_a_file_hold_the_same_bytes(void)
{
	check_inflates(BYTES("/_/"));
	CU_ASSERT(each_asset(check_inflates) >= 2);
}

static void the_policy_allows_nothing_inline_and_nothing_foreign(void)
{
	size_t n = 0;
	const struct console_header *headers = console_headers(&n);
	CU_ASSERT_FATAL(n >= 1);
	CU_ASSERT(bytes_eq_string(headers[0].name, "Content-Security-Policy"));
	struct bytes policy = headers[0].value;
	CU_ASSERT(bytes_starts_with(policy, BYTES("default-src 'none'; ")));
	CU_ASSERT(contains(policy, "require-trusted-types-for 'script'"));
	CU_ASSERT(contains(policy, "frame-ancestors 'none'"));
	CU_ASSERT_FALSE(contains(policy, "unsafe"));
	CU_ASSERT_FALSE(contains(policy, "http"));
	CU_ASSERT_FALSE(contains(policy, "*"));

	struct bytes page = the_page().body;
	CU_ASSERT_FALSE(contains(page, "<style"));
	CU_ASSERT_FALSE(contains(page, " style="));
	CU_ASSERT_FALSE(contains(page, "<script>"));
	CU_ASSERT_FALSE(contains(page, "http:"));
	CU_ASSERT_FALSE(contains(page, "https:"));
}

static void gzip_is_sent_only_to_who_takes_it(void)
{
	static const struct {
		struct bytes value;
		bool accepts;
	} rows[] = {
		{ { 0 }, false },
		{ TEXT(""), false },
		{ TEXT("gzip"), true },
		{ TEXT("GZip"), true },
		{ TEXT("gzip, deflate, br, zstd"), true },
		{ TEXT("br ,\tgzip ; q=0.5"), true },
		{ TEXT("gzip;q=0.001"), true },
		{ TEXT("gzip;q=0"), false },
		{ TEXT("gzip;Q=0.000"), false },
		{ TEXT("gzip; q=0., *"), false },
		{ TEXT("*"), true },
		{ TEXT("*;q=0"), false },
		{ TEXT("*;q=0, gzip"), true },
		{ TEXT("xgzip, gzipx"), false },
		{ TEXT(",,;,"), false },
		{ TEXT("identity"), false },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CU_ASSERT_EQUAL(console_accepts_gzip(rows[i].value), rows[i].accepts);
}

static void check_unchanged(struct bytes path)
{
	struct console_asset asset = { 0 };
	CU_ASSERT_EQUAL_FATAL(console_find(path, true, &asset), CONSOLE_FOUND);
	char list[128];
	CU_ASSERT(asset.etag.n > 2 && asset.etag.n < 64);
	(void)snprintf(list, sizeof(list), "\"other\", W/%.*s", (int)asset.etag.n, asset.etag.p);
	CU_ASSERT(console_is_unchanged(&asset, asset.etag));
	CU_ASSERT(console_is_unchanged(&asset, bytes_of(list)));
	CU_ASSERT(console_is_unchanged(&asset, BYTES("*")));
	CU_ASSERT_FALSE(console_is_unchanged(&asset, BYTES("\"other\"")));
	CU_ASSERT_FALSE(console_is_unchanged(&asset, BYTES("")));
}

static void an_unchanged_asset_is_known_by_its_tag_and_the_page_never(void)
{
	CU_ASSERT(each_asset(check_unchanged) >= 2);
	struct console_asset page = the_page();
	CU_ASSERT_FALSE(console_is_unchanged(&page, BYTES("*")));
	CU_ASSERT_FALSE(console_is_unchanged(&page, BYTES("")));
}

static void the_build_has_a_name(void)
{
	CU_ASSERT_EQUAL(console_build_id().n, 16);
}

static const struct unit_test tests[] = {
	UNIT(the_page_is_never_stored),
	UNIT(every_console_path_is_answered_with_the_page),
	UNIT(a_missing_asset_is_not_found_and_never_the_page),
	UNIT(assets_that_the_page_names_exist_and_are_kept_for_ever),
	UNIT(both_forms_of_a_file_hold_the_same_bytes),
	UNIT(the_policy_allows_nothing_inline_and_nothing_foreign),
	UNIT(gzip_is_sent_only_to_who_takes_it),
	UNIT(an_unchanged_asset_is_known_by_its_tag_and_the_page_never),
	UNIT(the_build_has_a_name),
};

UNIT_MAIN("console", tests)
