#include "arena.h"
#include "bytes.h"
#include "clock.h"
#include "err.h"
#include "id.h"
#include "unit.h"

#include <string.h>

static void decimal_numbers_parse_without_wrapping(void)
{
	uint64_t n = 7;

	CU_ASSERT(bytes_parse_u64(BYTES("0"), UINT64_MAX, &n) && n == 0);
	CU_ASSERT(
		bytes_parse_u64(BYTES("18446744073709551615"), UINT64_MAX, &n) && n == UINT64_MAX);
	n = 7;
	CU_ASSERT(!bytes_parse_u64(BYTES("18446744073709551616"), UINT64_MAX, &n));
	CU_ASSERT(!bytes_parse_u64(BYTES("99999999999999999999"), UINT64_MAX, &n));
	CU_ASSERT(!bytes_parse_u64(BYTES("101"), 100, &n));
	CU_ASSERT(!bytes_parse_u64(BYTES("9"), 5, &n));
	CU_ASSERT(!bytes_parse_u64(BYTES(""), 100, &n));
	CU_ASSERT(!bytes_parse_u64(BYTES("-1"), 100, &n));
	CU_ASSERT(!bytes_parse_u64(BYTES("1e3"), 10000, &n));
	CU_ASSERT(!bytes_parse_u64(BYTES("007"), 100, &n));
	CU_ASSERT_EQUAL(n, 7);
}

static void a_buffer_never_passes_its_maximum(void)
{
	DEFER(bytes_buf_fini) struct bytes_buf buf;

	bytes_buf_init(&buf, 5);
	CU_ASSERT(bytes_buf_append(&buf, BYTES("abcd")));
	CU_ASSERT(!bytes_buf_append(&buf, BYTES("ef")));
	CU_ASSERT(buf.failed);
	CU_ASSERT(bytes_eq(bytes_buf_view(&buf), BYTES("abcd")));
	CU_ASSERT(bytes_buf_append_byte(&buf, 'e'));
	CU_ASSERT_EQUAL(buf.n, 5);
	CU_ASSERT_PTR_NULL(bytes_buf_reserve(&buf, SIZE_MAX));
	bytes_buf_clear(&buf);
	CU_ASSERT(!buf.failed && bytes_buf_append_u64(&buf, 40017));
	CU_ASSERT(bytes_eq(bytes_buf_view(&buf), BYTES("40017")));
}

static void hexadecimal_goes_both_ways(void)
{
	char text[8];
	uint8_t data[4];

	bytes_hex(BYTES("\x00\xff\x1a\xb2"), text);
	CU_ASSERT(memcmp(text, "00ff1ab2", 8) == 0);
	CU_ASSERT(bytes_unhex(BYTES("00FF1aB2"), data, 4));
	CU_ASSERT(memcmp(data, "\x00\xff\x1a\xb2", 4) == 0);
	CU_ASSERT(!bytes_unhex(BYTES("00FF1a"), data, 4));
	CU_ASSERT(!bytes_unhex(BYTES("00FF1ag0"), data, 4));
}

static void an_arena_gives_zeroed_memory_up_to_its_maximum(void)
{
	DEFER(arena_free) struct arena *arena = NULL;

	CU_ASSERT_EQUAL_FATAL(arena_new(10000, &arena, NULL), 0);
	char *p = arena_alloc(arena, 6000);
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	CU_ASSERT_EQUAL(p[0] | p[5999], 0);
	CU_ASSERT_PTR_NULL(arena_alloc(arena, 4001));
	CU_ASSERT_PTR_NULL(arena_copy(arena, (struct bytes){ NULL, SIZE_MAX }));
	CU_ASSERT_STRING_EQUAL(arena_copy(arena, BYTES("abc")), "abc");
	CU_ASSERT(bytes_eq(arena_printf(arena, "%d-%s", 7, "x"), BYTES("7-x")));
	arena_reset(arena);
	CU_ASSERT_EQUAL(arena_used(arena), 0);
	CU_ASSERT_PTR_NOT_NULL(arena_alloc(arena, 10000));
}

static void a_reset_arena_gives_the_same_memory_again_and_zeroed(void)
{
	DEFER(arena_free) struct arena *arena = NULL;

	CU_ASSERT_EQUAL_FATAL(arena_new(1000000, &arena, NULL), 0);
	CU_ASSERT_PTR_NOT_NULL(arena_alloc(arena, 1000));
	char *p = arena_alloc(arena, 5000); /* a second chunk, the bigger one */
	CU_ASSERT_PTR_NOT_NULL(arena_alloc(arena, 50000));
	memset(p, 'x', 5000);
	arena_reset(arena);
	CU_ASSERT_PTR_EQUAL(arena_copy(arena, BYTES("abc")), p);
	CU_ASSERT_STRING_EQUAL(p, "abc");
	CU_ASSERT_STRING_EQUAL(arena_printf(arena, "%s", "de").p, "de");
	arena_reset(arena);
	memset(p, 'x', 5000);
	CU_ASSERT_PTR_EQUAL(arena_alloc(arena, 5000), p);
	for (size_t i = 0; i < 5000; i++)
		CU_ASSERT_EQUAL(p[i], 0);
}

static void wall_time_formats_as_records_carry_it(void)
{
	char text[CLOCK_TEXT_BYTES];

	clock_format(1795443865123456, text);
	CU_ASSERT_STRING_EQUAL(text, "2026-11-23 14:24:25.123Z");
	clock_format(-1, text);
	CU_ASSERT_STRING_EQUAL(text, "1969-12-31 23:59:59.999Z");
	clock_format(INT64_MAX, text);
	CU_ASSERT_STRING_EQUAL(text, "9999-12-31 23:59:59.999Z");
	clock_format(INT64_MIN, text);
	CU_ASSERT_STRING_EQUAL(text, "0000-01-01 00:00:00.000Z");
}

static void record_ids_are_fifteen_letters_and_differ(void)
{
	static struct id_source source;
	char a[ID_RECORD_BYTES + 1], b[ID_RECORD_BYTES + 1];

	for (int i = 0; i < 2000; i++) {
		id_record(&source, a);
		id_record(&source, b);
		CU_ASSERT_EQUAL(strspn(a, "abcdefghijklmnopqrstuvwxyz0123456789"), 15);
		CU_ASSERT_EQUAL(strlen(a), 15);
		CU_ASSERT_STRING_NOT_EQUAL(a, b);
	}
}

static void a_fault_keeps_the_place_and_errno(void)
{
	struct err err = { 0 };

	CU_ASSERT_EQUAL(ERR_SET(&err, ERR_CORRUPT, "page %d", 7), -1);
	CU_ASSERT_STRING_EQUAL(err.message, "page 7");
	CU_ASSERT_STRING_EQUAL(err_name(err.code), "corrupt");
	CU_ASSERT_EQUAL(err.os_errno, 0);
	CU_ASSERT(err.line > 0);
	CU_ASSERT_EQUAL(ERR_SET(NULL, ERR_IO, "ignored"), -1);
}

static const struct unit_test tests[] = {
	UNIT(decimal_numbers_parse_without_wrapping),
	UNIT(a_buffer_never_passes_its_maximum),
	UNIT(hexadecimal_goes_both_ways),
	UNIT(an_arena_gives_zeroed_memory_up_to_its_maximum),
	UNIT(a_reset_arena_gives_the_same_memory_again_and_zeroed),
	UNIT(wall_time_formats_as_records_carry_it),
	UNIT(record_ids_are_fifteen_letters_and_differ),
	UNIT(a_fault_keeps_the_place_and_errno),
};

UNIT_MAIN("base", tests)
