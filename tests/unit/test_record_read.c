/* What is read of records: pages, cursors, groups, picked and expanded parts, fields with rules. */
#include "record_fix.h"

#include "record_sight.h"

static const struct record_viewer ann = { .collection_id = { "_pb_users_auth_", 15 },
	.collection_name = { "users", 5 },
	.record_id = { "user00000000001", 15 } };

static void make(const char *collection, const char *body)
{
	expect_status(200, request(record_create, collection, NULL, body));
}

static void make_collection(const char *body)
{
	expect_status(200, request(record_collection_create, NULL, NULL, body));
}

static void make_posts(unsigned n)
{
	make_collection(posts);
	for (unsigned i = 0; i < n; i++) {
		char body[200];
		snprintf(body, sizeof(body),
			"{\"id\":\"post%011u\",\"title\":\"Post %u\",\"n\":%u,\"active\":%s,"
			"\"tags\":[\"%s\"],\"secret\":\"s%u\"}",
			i, i % 7, i * 7919 % 101, i % 2 ? "true" : "false", i % 3 ? "x" : "y", i);
		make("posts", body);
	}
}

/* The ids of the last answer's items, one behind the other. */
static void append_ids(struct bytes_buf *out)
{
	char pointer[32];
	for (int i = 0; i < 1000; i++) {
		snprintf(pointer, sizeof(pointer), "/items/%d/id", i);
		if (strcmp(at(pointer), "(absent)") == 0)
			return;
		bytes_buf_append_string(out, at(pointer));
	}
}

/* ---- lists ---- */

static const char *const sorts[] = { "", "n", "-n", "title,-n", "-title,n",
	"-active,title,-created", "id", "-id", "+day,-count", "sku", "-@rowid", "updated",
	"mail,-site" };
#define N_SORTS (sizeof(sorts) / sizeof(sorts[0]))

static void one_pass_gives_what_two_would(void)
{
	static const char *const filters[] = { "", "n > 50", "active = true && title != 'Post 3'",
		"n < 0" };
	setup();
	make_posts(60);
	fix.viewer = nobody;
	for (size_t s = 0; s < N_SORTS; s++)
		for (size_t f = 0; f < 4; f++)
			for (int page = 1; page <= 4; page++) {
				char first[sizeof(fix.body)], number[8];
				snprintf(number, sizeof(number), "%d", page);
				/* A total that is known would leave the second way out. */
				expect_status(200, request(record_update, "posts",
							   "post00000000007", "{\"mail\":\"\"}"));
				for (int skip = 1; skip >= 0; skip--) {
					query("sort", sorts[s]);
					query("filter", filters[f]);
					query("page", number);
					query("perPage", "9");
					query("fields", "id");
					query("skipTotal", skip ? "1" : "false");
					expect_status(
						200, request(record_list, "posts", NULL, NULL));
					if (skip)
						strcpy(first, strstr(fix.body, "\"items\""));
				}
				CU_ASSERT_STRING_EQUAL(strstr(fix.body, "\"items\""), first);
			}
	teardown();
}

static void a_total_is_never_out_of_date(void)
{
	setup();
	make_posts(3);
	fix.viewer = nobody;
	for (int i = 0; i < 30; i++) {
		char total[8], body[64];
		for (int again = 0; again < 3; again++) {
			query("perPage", "2");
			query("sort", again == 2 ? "-title" : "");
			query("filter", again ? "n >= 0" : "");
			expect_status(200, request(record_list, "posts", NULL, NULL));
			snprintf(total, sizeof(total), "%d", 3 + i);
			expect("/totalItems", total);
		}
		snprintf(body, sizeof(body), "{\"title\":\"more\",\"n\":%d}", i);
		make("posts", body);
	}
	query("filter", "title = 'more'");
	expect_status(200, request(record_list, "posts", NULL, NULL));
	expect("/totalItems", "30");
	query("filter", "title = 'less'");
	expect_status(200, request(record_list, "posts", NULL, NULL));
	expect("/totalItems", "0");
	teardown();
}

/* Walks all pages. Returns how many there were. */
static int walk(const char *sort, const char *filter, bool disturb, struct bytes_buf *out)
{
	static char cursor[8192];
	int n = 0;
	cursor[0] = '\0';
	do {
		query("cursor", cursor);
		query("sort", sort);
		query("filter", filter);
		query("perPage", "7");
		expect_status(200, request(record_list, "posts", NULL, NULL));
		append_ids(out);
		const char *next = at("/nextCursor");
		bool is_last = strcmp(next, "null") == 0;
		snprintf(cursor, sizeof(cursor), "%.*s", is_last ? 0 : (int)strlen(next) - 2,
			next + 1);
		if (disturb && n % 2 == 0)
			make("posts", "{\"title\":\"Post 0\",\"n\":0,\"kind\":\"c\"}");
	} while (cursor[0] && ++n < 100);
	return n;
}

static void cursors_meet_every_record_once_in_order(void)
{
	setup();
	make_posts(40);
	fix.viewer = nobody;
	for (size_t s = 0; s < N_SORTS; s++) {
		DEFER(bytes_buf_fini) struct bytes_buf calm, stirred, sorted;
		char by_id[64];
		bytes_buf_init(&calm, 1 << 16);
		bytes_buf_init(&stirred, 1 << 16);
		bytes_buf_init(&sorted, 1 << 16);
		/* With the id behind the keys a page by number has the same order. */
		snprintf(by_id, sizeof(by_id), "%s%sid", sorts[s], sorts[s][0] ? "," : "");
		query("sort", by_id);
		query("filter", "kind = ''");
		query("perPage", "1000");
		expect_status(200, request(record_list, "posts", NULL, NULL));
		append_ids(&sorted);
		CU_ASSERT_EQUAL(walk(sorts[s], "kind = ''", false, &calm), 5);
		CU_ASSERT_EQUAL(walk(sorts[s], "kind = ''", true, &stirred), 5);
		CU_ASSERT(bytes_eq(bytes_buf_view(&sorted), bytes_buf_view(&calm)));
		CU_ASSERT(bytes_eq(bytes_buf_view(&sorted), bytes_buf_view(&stirred)));
		CU_ASSERT_EQUAL(sorted.n, 40 * 17);
	}
	teardown();
}

static void expect_no_cursor(const char *cursor, const char *sort)
{
	query("cursor", cursor);
	query("sort", sort);
	query("perPage", "7");
	expect_status(400, request(record_list, "posts", NULL, NULL));
	expect("/cursor/code", "\"validation_invalid_cursor\"");
}

static void a_cursor_that_was_not_given_out_is_refused(void)
{
	setup();
	make_posts(20);
	fix.viewer = nobody;
	query("cursor", "");
	query("sort", "-n");
	query("perPage", "7");
	query("skipTotal", "1");
	expect_status(200, request(record_list, "posts", NULL, NULL));
	expect("/totalItems", "-1");
	char cursor[512], forged[512];
	snprintf(cursor, sizeof(cursor), "%.*s", (int)strlen(at("/nextCursor")) - 2,
		at("/nextCursor") + 1);
	query("cursor", cursor);
	query("sort", "-n");
	expect_status(200, request(record_list, "posts", NULL, NULL));
	for (size_t i = 0; cursor[i]; i++) {
		strcpy(forged, cursor);
		forged[i] = forged[i] == 'A' ? 'B' : 'A';
		expect_no_cursor(forged, "-n");
		strcpy(forged, cursor);
		forged[i] = '\0';
		if (i)
			expect_no_cursor(forged, "-n");
	}
	expect_no_cursor(cursor, "n");
	expect_no_cursor("%%%", "-n");
	expect_no_cursor("", "@random");
	fix.viewer = superuser; /* another viewer */
	expect_no_cursor(cursor, "-n");
	fix.viewer = nobody;
	close_book();
	open_book();
	query("cursor", cursor);
	query("sort", "-n");
	expect_status(200, request(record_list, "posts", NULL, NULL));
	teardown();
}

static void what_cannot_be_taken_is_named(void)
{
	static const struct {
		const char *name, *value;
	} rows[] = { { "page", "x" }, { "page", "99999999999999999999" }, { "perPage", "1.5" },
		{ "skipTotal", "maybe" }, { "filter", "n >" }, { "sort", "nosuch" },
		{ "sort", "-secret" }, { "fields", "title:shout()" },
		{ "fields", "title:excerpt(0)" }, { "fields", "title:excerpt(1,true,2)" } };
	setup();
	make_posts(1);
	fix.viewer = nobody;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char pointer[64];
		query(rows[i].name, rows[i].value);
		expect_status(400, request(record_list, "posts", NULL, NULL));
		snprintf(pointer, sizeof(pointer), "/%s/code", rows[i].name);
		CU_ASSERT_STRING_NOT_EQUAL(at(pointer), "(absent)");
		CU_ASSERT_STRING_EQUAL(
			fix.message, "Something went wrong while processing your request.");
	}
	query("page", "-3");
	query("perPage", "0");
	expect_status(200, request(record_list, "posts", NULL, NULL));
	expect("/page", "1");
	expect("/perPage", "30");
	teardown();
}

/* ---- groups ---- */

static void groups_are_counted_and_added_up(void)
{
	setup();
	make_posts(20);
	fix.viewer = nobody;
	query("aggregate[count]", "*");
	query("aggregate[sum]", "n");
	query("aggregate[max]", "n,title");
	query("groupBy", "active");
	query("sort", "-active");
	expect_status(200, request(record_list, "posts", NULL, NULL));
	expect("/totalItems", "2");
	expect("/items/0", "{\"active\":true,\"count\":10,\"sum\":{\"n\":464},"
			   "\"max\":{\"n\":91,\"title\":\"Post 6\"}}");
	query("aggregate[count]", "*,title");
	query("aggregate[avg]", "n");
	query("filter", "n < 0");
	expect_status(200, request(record_list, "posts", NULL, NULL));
	expect("/items", "[{\"count\":{\"*\":0,\"title\":0},\"avg\":{\"n\":null}}]");
	query("groupBy", "title,active");
	query("aggregate[count]", "*");
	query("sort", "-count,title");
	query("perPage", "3");
	query("page", "2");
	expect_status(200, request(record_list, "posts", NULL, NULL));
	expect("/totalItems", "14");
	expect("/totalPages", "5");
	expect("/items/2/active", "true");
	static const struct {
		const char *name, *value;
	} bad[] = { { "groupBy", "secret" }, { "groupBy", "tags" }, { "groupBy", "data" },
		{ "groupBy", "n,n" }, { "groupBy", "count" }, { "groupBy", "n,day,mail,site" },
		{ "groupBy", "" }, { "aggregate[sum]", "title" }, { "aggregate[min]", "secret" },
		{ "aggregate[sum]", "*" }, { "groupBy", "title:lower" }, { "groupBy", "nosuch" } };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		query(bad[i].name, bad[i].value);
		expect_status(400, request(record_list, "posts", NULL, NULL));
	}
	query("groupBy", "title");
	query("sort", "n");
	expect_status(400, request(record_list, "posts", NULL, NULL));
	query("groupBy", "title");
	query("cursor", "");
	expect_status(400, request(record_list, "posts", NULL, NULL));
	teardown();
}

/* ---- shape ---- */

static void make_shop(void)
{
	make_collection("{\"name\":\"teams\",\"type\":\"base\",\"listRule\":\"\",\"viewRule\":\"\","
			"\"fields\":[{\"name\":\"name\",\"type\":\"text\"}]}");
	make_collection("{\"name\":\"people\",\"type\":\"base\",\"listRule\":\"\",\"viewRule\":"
			"\"shown = true\","
			"\"createRule\":\"\",\"fields\":[{\"name\":\"name\",\"type\":\"text\"},"
			"{\"name\":\"shown\",\"type\":\"bool\"},"
			"{\"name\":\"team\",\"type\":\"relation\",\"collectionId\":\"teams\"}]}");
	make_collection(
		"{\"name\":\"notes\",\"type\":\"base\",\"listRule\":\"\",\"viewRule\":\"text != "
		"'no'\","
		"\"createRule\":\"\",\"updateRule\":\"\",\"fields\":["
		"{\"name\":\"text\",\"type\":\"text\"},{\"name\":\"data\",\"type\":\"json\"},"
		"{\"name\":\"author\",\"type\":\"relation\",\"collectionId\":\"people\"},"
		"{\"name\":\"readers\",\"type\":\"relation\",\"collectionId\":\"people\","
		"\"maxSelect\":9},"
		"{\"name\":\"spy\",\"type\":\"relation\",\"collectionId\":\"people\","
		"\"hidden\":true}]}");
	make("teams", "{\"id\":\"team00000000001\",\"name\":\"Red\"}");
	make("people", "{\"id\":\"pers00000000001\",\"name\":\"Ann\",\"shown\":true,"
		       "\"team\":\"team00000000001\"}");
	make("people", "{\"id\":\"pers00000000002\",\"name\":\"Bob\",\"shown\":false}");
	make("notes",
		"{\"id\":\"note00000000001\",\"text\":\"<p>One &amp; <b>two</b></p><script>x"
		"</script> three\",\"data\":{\"a\":{\"b\":1,\"c\":2},\"d\":[{\"e\":1,\"f\":2}]},"
		"\"author\":\"pers00000000001\",\"readers\":[\"pers00000000002\","
		"\"pers00000000001\"],\"spy\":\"pers00000000001\"}");
	make("notes",
		"{\"id\":\"note00000000002\",\"text\":\"no\",\"author\":\"pers00000000001\"}");
}

static void relations_are_followed_by_the_viewers_rules(void)
{
	setup();
	make_shop();
	fix.viewer = nobody;
	query("expand", "author.team,readers,spy,nosuch,text,author.notes_via_author");
	expect_status(200, request(record_get, "notes", "note00000000001", NULL));
	expect("/expand/author/name", "\"Ann\"");
	expect("/expand/author/expand/team/name", "\"Red\"");
	expect("/expand/author/expand/notes_via_author/0/id", "\"note00000000001\"");
	expect("/expand/author/expand/notes_via_author/1", "(absent)");
	expect("/expand/readers/0/name", "\"Ann\"");
	expect("/expand/readers/1", "(absent)");
	expect("/expand/spy", "(absent)");
	query("expand", "notes_via_readers,notes_via_spy,notes_via_text,x_via_y,_via_");
	expect_status(200, request(record_get, "people", "pers00000000001", NULL));
	expect("/expand/notes_via_readers/0/id", "\"note00000000001\"");
	expect("/expand/notes_via_spy", "(absent)");
	expect("/expand/notes_via_text", "(absent)");
	fix.viewer = superuser;
	query("expand", "notes_via_spy,notes_via_author");
	expect_status(200, request(record_get, "people", "pers00000000001", NULL));
	expect("/expand/notes_via_spy/0/spy", "\"pers00000000001\"");
	expect("/expand/notes_via_author/1/id", "\"note00000000002\"");
	fix.viewer = nobody;
	query("expand", "author");
	expect_status(200, request(record_update, "notes", "note00000000001", "{\"data\":1}"));
	expect("/expand/author/name", "\"Ann\"");
	query("expand", "readers");
	expect_status(
		200, request(record_create, "notes", NULL, "{\"readers\":[\"pers00000000001\"]}"));
	expect("/expand/readers/0/name", "\"Ann\"");
	/* Six steps, and not a seventh. */
	query("expand", "author.notes_via_author.author.notes_via_author.author.team.nosuch");
	query("fields", "expand.author.expand.notes_via_author.expand.author.expand"
			".notes_via_author.expand.author.expand.team.name");
	expect_status(200, request(record_get, "notes", "note00000000001", NULL));
	expect("/expand/author/expand/notes_via_author/0/expand/author/expand/notes_via_author/0/"
	       "expand/author/expand/team",
		"{\"name\":\"Red\"}");
	teardown();
}

static void a_unique_back_relation_is_one_record(void)
{
	setup();
	make_collection("{\"name\":\"people\",\"type\":\"base\",\"viewRule\":\"\",\"fields\":["
			"{\"name\":\"name\",\"type\":\"text\"}]}");
	make_collection("{\"name\":\"cards\",\"type\":\"base\",\"viewRule\":\"\",\"fields\":["
			"{\"name\":\"owner\",\"type\":\"relation\",\"collectionId\":\"people\"}],"
			"\"indexes\":[\"CREATE UNIQUE INDEX `i` ON `cards` (`owner`)\"]}");
	make("people", "{\"id\":\"pers00000000001\"}");
	make("cards", "{\"id\":\"card00000000001\",\"owner\":\"pers00000000001\"}");
	query("expand", "cards_via_owner");
	expect_status(200, request(record_get, "people", "pers00000000001", NULL));
	expect("/expand/cards_via_owner/id", "\"card00000000001\"");
	teardown();
}

static void fields_are_picked_as_asked(void)
{
	static const struct {
		const char *fields, *answer;
	} rows[] = {
		{ "id", "{\"id\":\"note00000000001\"}" },
		{ "nosuch", "{}" },
		{ " id , collectionName",
			"{\"collectionName\":\"notes\",\"id\":\"note00000000001\"}" },
		{ "data.a.b,data.d.f", "{\"data\":{\"a\":{\"b\":1},\"d\":[{\"f\":2}]}}" },
		{ "data.a.*", "{\"data\":{\"a\":{\"b\":1,\"c\":2}}}" },
		{ "text:excerpt(9)", "{\"text\":\"One & two\"}" },
		{ "text:excerpt(10,true)", "{\"text\":\"One & two...\"}" },
		{ "text:excerpt(100, true),id",
			"{\"id\":\"note00000000001\",\"text\":\"One & two three\"}" },
		{ "expand.author.name", "{\"expand\":{\"author\":{\"name\":\"Ann\"}}}" },
		{ "expand.author.name:excerpt(2)", "{\"expand\":{\"author\":{\"name\":\"An\"}}}" },
		{ "expand.author.expand.*.name,id",
			"{\"id\":\"note00000000001\",\"expand\":{\"author\":{\"expand\":{\"team\":"
			"{\"collectionId\":\"" },
	};
	setup();
	make_shop();
	fix.viewer = nobody;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		query("fields", rows[i].fields);
		query("expand", "author.team");
		expect_status(200, request(record_get, "notes", "note00000000001", NULL));
		size_t n = strlen(rows[i].answer);
		bool is_part = rows[i].answer[n - 1] != '}';
		if (strncmp(fix.body, rows[i].answer, is_part ? n : n + 1) != 0) {
			printf("\n%s gave %s\n", rows[i].fields, fix.body);
			CU_FAIL("picked otherwise");
		}
	}
	query("fields", "*,expand.author.name");
	query("expand", "author.team");
	expect_status(200, request(record_get, "notes", "note00000000001", NULL));
	expect("/expand", "{\"author\":{\"name\":\"Ann\"}}");
	expect("/data/a/c", "2");
	teardown();
}

static void an_etag_is_of_what_the_viewer_sees(void)
{
	char first[RECORD_ETAG_BYTES], list[128];
	setup();
	make_posts(2);
	expect_status(200, request(record_get, "posts", "post00000000001", NULL));
	strcpy(list, fix.etag);
	fix.viewer = nobody;
	expect_status(200, request(record_get, "posts", "post00000000001", NULL));
	strcpy(first, fix.etag);
	CU_ASSERT_EQUAL(strlen(first), 24);
	CU_ASSERT_STRING_NOT_EQUAL(first, list);
	fix.if_none_match = first;
	expect_status(304, request(record_get, "posts", "post00000000001", NULL));
	CU_ASSERT_STRING_EQUAL(fix.body, "");
	CU_ASSERT_STRING_EQUAL(fix.etag, first);
	snprintf(list, sizeof(list), "\"other\" , W/%s", first);
	fix.if_none_match = list;
	expect_status(304, request(record_get, "posts", "post00000000001", NULL));
	fix.if_none_match = "*";
	expect_status(304, request(record_get, "posts", "post00000000001", NULL));
	fix.if_none_match = "\"other\"";
	expect_status(200, request(record_get, "posts", "post00000000001", NULL));
	fix.if_none_match = first;
	expect_status(404, request(record_get, "posts", "post00000000009", NULL));
	/* What is hidden changes it for nobody else. */
	fix.viewer = superuser;
	expect_status(
		200, request(record_update, "posts", "post00000000001", "{\"secret\":\"other\"}"));
	fix.viewer = nobody;
	query("fields", "title,n,secret");
	fix.if_none_match = first;
	expect_status(200, request(record_get, "posts", "post00000000001", NULL));
	teardown();
}

/* ---- rules of fields ---- */

static void make_ruled(void)
{
	make_collection(
		"{\"name\":\"staff\",\"type\":\"base\",\"listRule\":\"\",\"viewRule\":\"\","
		"\"createRule\":\"\",\"updateRule\":\"\",\"fields\":["
		"{\"name\":\"name\",\"type\":\"text\"},"
		"{\"name\":\"owner\",\"type\":\"relation\",\"collectionId\":\"users\"},"
		"{\"name\":\"pay\",\"type\":\"number\",\"readRule\":\"owner = @request.auth.id\","
		"\"writeRule\":\"@request.auth.name = 'Boss'\"},"
		"{\"name\":\"code\",\"type\":\"text\",\"readRule\":\"owner = @request.auth.id\"},"
		"{\"name\":\"boss\",\"type\":\"relation\",\"collectionId\":\"users\","
		"\"readRule\":\"owner = @request.auth.id\"},"
		"{\"name\":\"open\",\"type\":\"number\",\"readRule\":\"\",\"writeRule\":null}],"
		"\"indexes\":[\"CREATE UNIQUE INDEX `i` ON `staff` (`code`) WHERE `code` != "
		"''\"]}");
	make("users",
		"{\"id\":\"user00000000001\",\"email\":\"ann@x.example\","
		"\"password\":\"12345678\",\"passwordConfirm\":\"12345678\",\"name\":\"Ann\"}");
	make("users",
		"{\"id\":\"user00000000002\",\"email\":\"bob@x.example\","
		"\"password\":\"12345678\",\"passwordConfirm\":\"12345678\",\"name\":\"Boss\"}");
	make("staff", "{\"id\":\"staf00000000001\",\"name\":\"Ann\",\"owner\":\"user00000000001\","
		      "\"pay\":100,\"code\":\"A1\",\"boss\":\"user00000000002\"}");
	make("staff", "{\"id\":\"staf00000000002\",\"name\":\"Bob\",\"owner\":\"user00000000002\","
		      "\"pay\":200,\"code\":\"B1\",\"boss\":\"user00000000001\"}");
}

static void a_field_is_read_by_its_rule(void)
{
	setup();
	make_ruled();
	fix.viewer = ann;
	expect_status(200, request(record_get, "staff", "staf00000000001", NULL));
	expect("/pay", "100");
	expect("/code", "\"A1\"");
	expect_status(200, request(record_get, "staff", "staf00000000002", NULL));
	expect("/name", "\"Bob\"");
	expect("/open", "0");
	expect("/pay", "(absent)");
	expect("/code", "(absent)");
	expect("/boss", "(absent)");
	query("expand", "boss,owner");
	query("sort", "name");
	expect_status(200, request(record_list, "staff", NULL, NULL));
	expect("/items/0/pay", "100");
	expect("/items/1/pay", "(absent)");
	expect("/items/1/expand/boss", "(absent)");
	/* Bob's record has Ann as its boss, but who may not read that does not learn it backwards.
	 */
	query("expand", "staff_via_boss,staff_via_owner");
	expect_status(200, request(record_get, "users", "user00000000001", NULL));
	expect("/expand/staff_via_boss", "(absent)");
	expect("/expand/staff_via_owner/0/pay", "100");
	fix.viewer = superuser;
	expect_status(200, request(record_get, "staff", "staf00000000002", NULL));
	expect("/pay", "200");
	teardown();
}

static void what_may_not_be_read_is_null_to_filters_and_figures(void)
{
	setup();
	make_ruled();
	fix.viewer = ann;
	query("filter", "pay > 0");
	expect_status(200, request(record_list, "staff", NULL, NULL));
	expect("/totalItems", "1");
	expect("/items/0/name", "\"Ann\"");
	query("filter", "code ~ 'B'");
	expect_status(200, request(record_list, "staff", NULL, NULL));
	expect("/totalItems", "0");
	query("filter", "boss.name = 'Ann'");
	expect_status(200, request(record_list, "staff", NULL, NULL));
	expect("/totalItems", "0");
	query("aggregate[sum]", "pay");
	query("aggregate[count]", "pay");
	query("aggregate[max]", "code");
	expect_status(200, request(record_list, "staff", NULL, NULL));
	expect("/items/0",
		"{\"count\":{\"pay\":1},\"sum\":{\"pay\":100},\"max\":{\"code\":\"A1\"}}");
	query("groupBy", "code");
	expect_status(200, request(record_list, "staff", NULL, NULL));
	expect("/items", "[{\"code\":null},{\"code\":\"A1\"}]");
	query("sort", "-pay");
	query("cursor", "");
	query("perPage", "1");
	expect_status(200, request(record_list, "staff", NULL, NULL));
	expect("/items/0/name", "\"Ann\"");
	teardown();
}

struct sighted {
	struct store_job job;
	struct record_sight sight;
	enum record_verdict verdict;
	struct bytes_buf told;
};

static enum store_outcome run_sight(struct store_job *job, struct store_conn *conn)
{
	struct sighted *sighted = (struct sighted *)job;
	bool is_shared;
	sighted->sight.conn = conn;
	sighted->verdict = record_judge(&sighted->sight, &is_shared);
	CU_ASSERT(record_tell(&sighted->sight, &sighted->told, &is_shared));
	CU_ASSERT(!is_shared);
	return STORE_OK;
}

static void done_sight(struct store_job *job)
{
	(void)job;
	loop_stop(fix.loop);
}

static void an_event_is_told_by_the_same_rules(void)
{
	const struct record_pair filter = { BYTES("filter"), BYTES("name = 'Bob'") };
	struct err err;
	setup();
	make_collection("{\"id\":\"coll00000000001\",\"name\":\"staff\",\"type\":\"base\","
			"\"listRule\":\"strftime('%Y', '2026-11-23') != '' && name != 'Ann'\","
			"\"viewRule\":\"\",\"fields\":["
			"{\"name\":\"name\",\"type\":\"text\"},{\"name\":\"pay\",\"type\":"
			"\"number\",\"readRule\":\"name = 'Ann'\"}]}");
	struct sighted sighted = {
		.job = { .run = run_sight, .done = done_sight, .loop = fix.loop },
		.sight = { .book = fix.book,
			.arena = fix.arena,
			.collection_id = BYTES("coll00000000001"),
			.row = BYTES("{\"collectionId\":\"coll00000000001\",\"collectionName\":"
				     "\"staff\",\"id\":\"staf00000000001\",\"name\":\"Bob\","
				     "\"pay\":7}"),
			.query = &filter,
			.n_query = 1 }
	};
	bytes_buf_init(&sighted.told, 4096);
	store_read(fix.store, &sighted.job);
	loop_run(fix.loop, &err);
	/* The filter's words are not taken for the rule's, nor these for those. */
	CU_ASSERT_EQUAL(sighted.verdict, RECORD_MAY_SEE);
	bytes_to_string(bytes_buf_view(&sighted.told), fix.body, sizeof(fix.body));
	expect("/name", "\"Bob\"");
	expect("/pay", "(absent)");
	bytes_buf_fini(&sighted.told);
	teardown();
}

static void a_view_is_read_like_any_other(void)
{
	setup();
	make_posts(20);
	make_collection("{\"name\":\"totals\",\"type\":\"view\",\"listRule\":\"\","
			"\"viewRule\":\"\",\"viewQuery\":\"SELECT (ROW_NUMBER() OVER "
			"(ORDER BY title)) as id, title, sum(n) as n FROM posts GROUP BY title "
			"ORDER BY title DESC\"}");
	fix.viewer = nobody;
	query("fields", "title");
	query("perPage", "2");
	expect_status(200, request(record_list, "totals", NULL, NULL));
	expect("/totalItems", "7");
	expect("/items", "[{\"title\":\"Post 6\"},{\"title\":\"Post 5\"}]");
	query("sort", "n");
	query("perPage", "1");
	expect_status(200, request(record_list, "totals", NULL, NULL));
	expect("/totalItems", "7");
	query("aggregate[count]", "*");
	expect_status(200, request(record_list, "totals", NULL, NULL));
	expect("/items/0/count", "7");
	query("sort", "@rowid");
	expect_status(400, request(record_list, "totals", NULL, NULL));
	char cursor[512] = "";
	int n = 0;
	do {
		query("cursor", cursor);
		query("perPage", "3");
		query("fields", "id");
		expect_status(200, request(record_list, "totals", NULL, NULL));
		const char *next = at("/nextCursor");
		snprintf(cursor, sizeof(cursor), "%.*s", next[0] == 'n' ? 0 : (int)strlen(next) - 2,
			next + 1);
	} while (cursor[0] && ++n < 9);
	CU_ASSERT_EQUAL(n, 2);
	expect("/items", "[{\"id\":\"7\"}]");
	teardown();
}

static void a_field_is_set_by_its_rule(void)
{
	static const struct record_viewer boss = { .collection_id = { "_pb_users_auth_", 15 },
		.collection_name = { "users", 5 },
		.record_id = { "user00000000002", 15 } };
	setup();
	make_ruled();
	fix.viewer = ann;
	expect_status(200, request(record_update, "staff", "staf00000000001",
				   "{\"pay\":999,\"name\":\"Anna\"}"));
	expect("/pay", "100");
	expect("/name", "\"Anna\"");
	CU_ASSERT_STRING_EQUAL(fix.ignored, "pay");
	expect_status(200, request(record_update, "staff", "staf00000000001", "{\"pay+\":1}"));
	expect("/pay", "100");
	CU_ASSERT_STRING_EQUAL(fix.ignored, "pay+");
	expect_status(200, request(record_create, "staff", NULL,
				   "{\"name\":\"New\",\"pay\":5,\"owner\":\"user00000000001\"}"));
	expect("/pay", "0");
	CU_ASSERT_STRING_EQUAL(fix.ignored, "pay");
	fix.is_strict = true;
	expect_status(400, request(record_update, "staff", "staf00000000001", "{\"pay\":9}"));
	expect("/pay/code", "\"validation_unknown_field\"");
	expect_status(400, request(record_create, "staff", NULL, "{\"pay\":9}"));
	expect("/pay/code", "\"validation_unknown_field\"");
	fix.is_strict = false;
	fix.viewer = boss;
	expect_status(200, request(record_update, "staff", "staf00000000001", "{\"pay\":300}"));
	expect("/pay", "(absent)"); /* set, but not his to read */
	CU_ASSERT_STRING_EQUAL(fix.ignored, "");
	fix.viewer = ann;
	expect_status(200, request(record_get, "staff", "staf00000000001", NULL));
	expect("/pay", "300");
	teardown();
}

static void a_conflict_over_what_may_not_be_read_names_nothing(void)
{
	setup();
	make_ruled();
	fix.viewer = ann;
	expect_status(400, request(record_update, "staff", "staf00000000001", "{\"code\":\"B1\"}"));
	CU_ASSERT_STRING_EQUAL(fix.body, "{}");
	CU_ASSERT_STRING_EQUAL(fix.message, "Failed to update record.");
	fix.viewer = superuser;
	expect_status(400, request(record_update, "staff", "staf00000000001", "{\"code\":\"B1\"}"));
	expect("/code/code", "\"validation_not_unique\"");
	teardown();
}

static void a_bad_rule_of_a_field_is_refused(void)
{
	setup();
	expect_status(400, request(record_collection_create, NULL, NULL,
				   "{\"name\":\"a\",\"type\":\"base\",\"fields\":[{\"name\":\"x\","
				   "\"type\":\"text\",\"readRule\":\"nosuch = 1\"}]}"));
	expect("/fields/1/readRule/code", "\"validation_invalid_rule\"");
	expect_status(400, request(record_collection_create, NULL, NULL,
				   "{\"name\":\"a\",\"type\":\"base\",\"fields\":[{\"name\":\"x\","
				   "\"type\":\"text\",\"writeRule\":\"x =\"}]}"));
	expect_status(
		200, request(record_collection_create, NULL, NULL,
			     "{\"name\":\"a\",\"type\":\"base\",\"fields\":[{\"name\":\"x\","
			     "\"type\":\"text\",\"readRule\":\"id != ''\",\"writeRule\":null}]}"));
	expect("/fields/1/readRule", "\"id != ''\"");
	expect("/fields/1/writeRule", "(absent)");
	teardown();
}

static const struct unit_test tests[] = {
	UNIT(one_pass_gives_what_two_would),
	UNIT(a_total_is_never_out_of_date),
	UNIT(cursors_meet_every_record_once_in_order),
	UNIT(a_cursor_that_was_not_given_out_is_refused),
	UNIT(what_cannot_be_taken_is_named),
	UNIT(groups_are_counted_and_added_up),
	UNIT(relations_are_followed_by_the_viewers_rules),
	UNIT(a_unique_back_relation_is_one_record),
	UNIT(fields_are_picked_as_asked),
	UNIT(an_etag_is_of_what_the_viewer_sees),
	UNIT(a_field_is_read_by_its_rule),
	UNIT(what_may_not_be_read_is_null_to_filters_and_figures),
	UNIT(an_event_is_told_by_the_same_rules),
	UNIT(a_view_is_read_like_any_other),
	UNIT(a_field_is_set_by_its_rule),
	UNIT(a_conflict_over_what_may_not_be_read_names_nothing),
	UNIT(a_bad_rule_of_a_field_is_refused),
};

UNIT_MAIN("record_read", tests)
