/* Collections as they change: types, names, views, imports, dry runs. */
#include "record_fix.h"

/* JSON as it reads in C: ' stands for ", and ` for '. */
static int ask(operation *start, const char *collection, const char *id, const char *text)
{
	static char json[16384];
	snprintf(json, sizeof(json), "%s", text ? text : "");
	for (char *p = json; *p; p++)
		if (*p == '\'')
			*p = '"';
		else if (*p == '`')
			*p = '\'';
	return request(start, collection, id, text ? json : NULL);
}

static void expect_ask(
	int status, operation *start, const char *collection, const char *id, const char *text)
{
	expect_status(status, ask(start, collection, id, text));
}

static void make_blog(void)
{
	expect_ask(200, record_collection_create, NULL, NULL,
		"{'id':'posts_id','name':'posts','listRule':'','viewRule':'title != ``',"
		"'createRule':'@request.body.title != `x` || @request.body.tags:isset = true',"
		"'fields':["
		"{'id':'f_title','name':'title','type':'text'},"
		"{'id':'f_n','name':'n','type':'number'},"
		"{'id':'f_tags','name':'tags','type':'select','values':['a','b','c'],'maxSelect':3}"
		","
		"{'id':'f_data','name':'data','type':'json'},"
		"{'id':'f_self','name':'next','type':'relation','collectionId':'posts_id'}],"
		"'indexes':['CREATE INDEX i_title ON posts (title)']}");
	expect_ask(200, record_collection_create, NULL, NULL,
		"{'id':'notes_id','name':'notes','listRule':'post.title != `` && post.next.title = "
		"`title` // title','viewRule':'@collection.posts.title ?= `t`','fields':["
		"{'name':'text','type':'text'},"
		"{'name':'post','type':'relation','collectionId':'posts_id'}]}");
	expect_ask(200, record_collection_update, "posts", NULL,
		"{'updateRule':'notes_via_post.text ?= `a`'}");
	for (int i = 0; i < 3; i++) {
		char body[256];
		snprintf(body, sizeof(body),
			"{'id':'post00000000%03d','title':'%s','n':%d.5,'tags':['a','b'],"
			"'data':{'k':%d}}",
			i,
			i == 0   ? "12"
			: i == 1 ? "word"
				 : "",
			i, i);
		expect_ask(200, record_create, "posts", NULL, body);
	}
	expect_ask(200, record_create, "notes", NULL,
		"{'id':'note00000000000','text':'a','post':'post00000000000'}");
}

static void an_editor_and_a_point_hold_what_they_may(void)
{
	setup();
	expect_ask(200, record_collection_create, NULL, NULL,
		"{'name':'places','fields':[{'name':'at','type':'geoPoint','required':true},"
		"{'name':'about','type':'editor','maxSize':10,'convertURLs':true}]}");
	expect("/fields/1/type", "\"geoPoint\"");
	expect("/fields/2/convertURLs", "true");
	expect_ask(200, record_create, "places", NULL,
		"{'at':{'lat':-33.5,'lon':151,'x':1},'about':'<p>a</p>'}");
	expect("/at", "{\"lon\":151,\"lat\":-33.5}");
	expect_ask(200, record_create, "places", NULL, "{'at':'{\\'lon\\':1,\\'lat\\':2}'}");
	expect("/at", "{\"lon\":1,\"lat\":2}");
	static const char *const rows[][3] = {
		{ "{'at':{'lat':90.1,'lon':1}}", "/at/code", "\"validation_invalid_latitude\"" },
		{ "{'at':{'lat':1,'lon':-180.5}}", "/at/code", "\"validation_invalid_longitude\"" },
		{ "{'at':{'lat':0,'lon':0}}", "/at/code", "\"validation_required\"" },
		{ "{'at':7}", "/at/code", "\"validation_required\"" },
		{ "{'at':{'lat':1,'lon':1},'about':'12345678901'}", "/about/code",
			"\"validation_content_size_limit\"" },
		{ "{'at':{'lat':1,'lon':1},'about':'12345678901'}", "/about/params",
			"{\"maxSize\":10}" },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		expect_ask(400, record_create, "places", NULL, rows[i][0]);
		expect(rows[i][1], rows[i][2]);
	}
	teardown();
}

static void what_is_wrong_with_a_definition_stands_at_its_place(void)
{
	static const char *const rows[][3] = {
		{ "{'name':'x','fields':[{'name':'','type':'text'}]}", "/fields/1/name/code",
			"\"validation_required\"" },
		{ "{'name':'x','fields':[{'name':'a_via_b','type':'text'}]}", "/fields/1/name/code",
			"\"validation_found_via\"" },
		{ "{'name':'x','fields':[{'name':'expand','type':'text'}]}", "/fields/1/name/code",
			"\"validation_not_in_invalid\"" },
		{ "{'name':'x','fields':[{'name':'a','type':'text','min':5,'max':4}]}",
			"/fields/1/max/code", "\"validation_min_greater_equal_than_required\"" },
		{ "{'name':'x','fields':[{'name':'a','type':'text','min':5,'max':4}]}",
			"/fields/1/max/params", "{\"threshold\":5}" },
		{ "{'name':'x','fields':[{'name':'a','type':'text','min':-1}]}",
			"/fields/1/min/code", "\"validation_min_greater_equal_than_required\"" },
		{ "{'name':'x','fields':[{'name':'a','type':'number','onlyInt':true,'min':1.5}]}",
			"/fields/1/min/code", "\"validation_only_int_constraint\"" },
		{ "{'name':'x','fields':[{'name':'a','type':'select','values':['p'],'maxSelect':2}]"
		  "}",
			"/fields/1/maxSelect/code", "\"validation_max_less_equal_than_required\"" },
		{ "{'name':'x','fields':[{'name':'a','type':'autodate'}]}",
			"/fields/1/onCreate/code", "\"validation_required\"" },
		{ "{'name':'x','fields':[{'name':'a','type':'relation'}]}",
			"/fields/1/collectionId/code", "\"validation_required\"" },
		{ "{'name':'x','fields':[{'name':'a','type':'date','min':'never'}]}",
			"/fields/1/min/code", "\"validation_invalid_date\"" },
		{ "{'name':'x','fields':[{'name':'a','type':'text'},{'name':'b','type':'bool',"
		  "'required':7}]}",
			"/fields/1/required/code", "\"validation_invalid_value\"" },
		{ "{'name':'users'}", "/name/code", "\"validation_collection_name_exists\"" },
		{ "{'name':'x','id':'_pb_users_auth_'}", "/id/code",
			"\"validation_invalid_or_existing_id\"" },
		{ "{'name':'x','indexes':['CREATE INDEX a ON x (id)','CREATE INDEX A ON x (id)']}",
			"/indexes/1/code", "\"validation_duplicated_index_name\"" },
	};
	setup();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		expect_ask(400, record_collection_create, NULL, NULL, rows[i][0]);
		expect(rows[i][1], rows[i][2]);
	}
	/* Several places in one answer. */
	expect_ask(400, record_collection_create, NULL, NULL,
		"{'name':'','fields':[{'name':'1a','type':'text'},{'name':'b','type':'select'}]}");
	expect("/name/code", "\"validation_required\"");
	expect("/fields/1/name/code", "\"validation_match_invalid\"");
	expect("/fields/2/values/code", "\"validation_required\"");
	teardown();
}

static void names_move_with_all_that_mentions_them(void)
{
	setup();
	make_blog();
	expect_ask(200, record_collection_create, NULL, NULL,
		"{'name':'titles','type':'view','listRule':'title != ``',"
		"'viewQuery':'SELECT p.id, p.title, n.text AS note FROM posts p LEFT JOIN notes n "
		"ON "
		"n.post = p.id'}");
	query("dryRun", "1");
	const char *change = "{'name':'articles','fields':["
			     "{'id':'f_title','name':'headline','type':'text'},"
			     "{'id':'f_n','name':'n','type':'number'},"
			     "{'id':'f_tags','name':'tags','type':'select','values':['a','b','c'],"
			     "'maxSelect':3},{'id':'f_data','name':'data','type':'json'},"
			     "{'id':'text_id','name':'id','type':'text'},"
			     "{'id':'f_self','name':'after','type':'relation','collectionId':"
			     "'posts_id'}]}";
	expect_ask(200, record_collection_update, "posts", NULL, change);
	expect("/dryRun", "true");
	expect("/collections/0/renamedFrom", "\"posts\"");
	expect("/collections/0/rows", "3");
	expect("/collections/0/columns/renamed/0", "{\"from\":\"title\",\"to\":\"headline\"}");
	expect("/views/0/name", "\"titles\"");
	expect("/brokenRules", "[]");
	/* It was a dry run. */
	expect_ask(200, record_get, "posts", "post00000000001", NULL);
	expect("/title", "\"word\"");

	expect_ask(200, record_collection_update, "posts", NULL, change);
	expect("/viewRule", "\"headline != ''\"");
	expect("/createRule",
		"\"@request.body.headline != 'x' || @request.body.tags:isset = true\"");
	expect("/updateRule", "\"notes_via_post.text ?= 'a'\"");
	expect("/indexes/0",
		"\"CREATE INDEX \\\"i_title\\\" ON \\\"articles\\\" (\\\"headline\\\")\"");
	expect_ask(200, record_get, "articles", "post00000000001", NULL);
	expect("/headline", "\"word\"");
	expect_ask(200, record_collection_get, "notes", NULL, NULL);
	expect("/listRule", "\"post.headline != '' && post.after.headline = 'title' // title\"");
	expect("/viewRule", "\"@collection.articles.headline ?= 't'\"");
	expect_ask(200, record_collection_get, "titles", NULL, NULL);
	expect("/listRule", "\"headline != ''\"");
	expect("/fields/1/name", "\"headline\"");
	fix.viewer = nobody;
	expect_ask(200, record_list, "titles", NULL, NULL);
	expect("/totalItems", "2");
	expect("/items/0/headline", "\"12\"");
	expect("/items/0/note", "\"a\"");
	fix.viewer = superuser;
	/* Back-relations by the new name of their collection. */
	expect_ask(200, record_collection_update, "notes", NULL, "{'name':'remarks'}");
	expect_ask(200, record_collection_get, "articles", NULL, NULL);
	expect("/updateRule", "\"remarks_via_post.text ?= 'a'\"");
	/* Two at once exchange their names. */
	expect_ask(204, record_collection_import, NULL, NULL,
		"{'collections':[{'id':'posts_id','name':'remarks'},"
		"{'id':'notes_id','name':'articles'}]}");
	expect_ask(200, record_get, "remarks", "post00000000001", NULL);
	expect("/headline", "\"word\"");
	expect_ask(200, record_collection_get, "remarks", NULL, NULL);
	expect("/updateRule", "\"articles_via_post.text ?= 'a'\"");
	teardown();
}

static void a_view_is_what_its_query_says(void)
{
	setup();
	make_blog();
	expect_ask(200, record_collection_create, NULL, NULL,
		"{'name':'v','type':'view','listRule':'n > 0','viewRule':'','viewQuery':"
		"'SELECT p.id, p.title, p.tags, p.data, p.n, (SELECT count(*) FROM notes) AS c, "
		"CAST(p.n AS INTEGER) AS whole, CAST(p.n AS TEXT) AS word, max(p.n, 1) AS most, "
		"x.id AS other, count(*) AS many FROM posts p LEFT JOIN posts x ON x.id = "
		"`post00000000000` GROUP BY p.id;'}");
	static const char *const types[] = { "text", "text", "select", "json", "number", "json",
		"number", "text", "json", "relation", "number" };
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		char pointer[32], type[32];
		snprintf(pointer, sizeof(pointer), "/fields/%zu/type", i);
		snprintf(type, sizeof(type), "\"%s\"", types[i]);
		expect(pointer, type);
	}
	fix.viewer = nobody;
	query("filter", "title != '' && other.title = '12'");
	query("sort", "-n");
	query("expand", "other");
	expect_ask(200, record_list, "v", NULL, NULL);
	expect("/totalItems", "2");
	expect("/items/0/id", "\"post00000000001\"");
	expect("/items/0/whole", "1");
	expect("/items/0/word", "\"1.5\"");
	expect("/items/0/most", "1.5");
	expect("/items/0/many", "1");
	expect("/items/0/tags", "[\"a\",\"b\"]");
	expect("/items/0/data", "{\"k\":1}");
	expect("/items/0/expand/other/title", "\"12\"");
	expect_ask(200, record_get, "v", "post00000000002", NULL);
	expect_ask(404, record_get, "v", "post00000000009", NULL);
	fix.viewer = superuser;
	expect_ask(400, record_create, "v", NULL, "{}");
	CU_ASSERT_STRING_EQUAL(fix.message, "Unsupported collection type.");
	expect_ask(400, record_update, "v", "post00000000002", "{}");
	expect_ask(400, record_delete, "v", "post00000000002", NULL);
	expect_ask(400, record_collection_truncate, "v", NULL, NULL);
	/* Computed ids are found as they are told. */
	expect_ask(200, record_collection_create, NULL, NULL,
		"{'name':'w','type':'view','viewQuery':'SELECT (ROW_NUMBER() OVER()) AS id, title "
		"FROM v'}");
	expect_ask(200, record_get, "w", "2", NULL);
	expect("/id", "\"2\"");
	/* A restart finds them. */
	close_book();
	open_book();
	expect_ask(200, record_get, "w", "2", NULL);
	/* What one reads goes only after it. */
	expect_ask(400, record_collection_delete, "v", NULL, NULL);
	expect("/views/params/view", "\"w\"");
	expect_ask(204, record_collection_delete, "w", NULL, NULL);
	expect_ask(204, record_collection_delete, "v", NULL, NULL);
	expect_ask(404, record_list, "v", NULL, NULL);
	teardown();
}

static void a_view_sees_no_secret_and_changes_nothing(void)
{
	static const char *const bad[] = {
		"SELECT id, _password_hash AS p FROM users",
		"SELECT id, p FROM (SELECT id, _token_key AS p FROM users)",
		"SELECT id, name FROM _collections",
		"SELECT id, email FROM _superusers",
		"SELECT 1 AS id, sql FROM sqlite_schema",
		"SELECT 1 AS id, load_extension(`x`) AS e",
		"SELECT 1 AS id, randomblob(1000000000) AS e",
		"SELECT * FROM posts",
		"SELECT p.* FROM posts p",
		"SELECT title FROM posts",
		"SELECT id, nosuch FROM posts",
		"SELECT 1 AS id FROM posts",
		"SELECT NULL AS id FROM posts",
		"DELETE FROM posts RETURNING id",
		"SELECT id FROM posts; DROP TABLE posts",
		"SELECT id, title AS ID FROM posts",
		"SELECT id, count(*) FROM posts",
		"SELECT id FROM posts WHERE id = ?1",
		"PRAGMA table_list",
		"WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT 2 FROM r) SELECT n id FROM r",
	};
	char body[1024];
	setup();
	make_blog();
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(body, sizeof(body), "{'name':'v','type':'view','viewQuery':'%s'}", bad[i]);
		expect_ask(400, record_collection_create, NULL, NULL, body);
		if (strcmp(at("/viewQuery/code"), "\"validation_invalid_view_query\"") != 0) {
			printf("\n%s: %s\n", bad[i], fix.body);
			CU_FAIL("a bad view was not refused");
		}
	}
	expect_ask(400, record_collection_create, NULL, NULL,
		"{'name':'v','type':'view','viewQuery':'SELECT id FROM posts','createRule':''}");
	expect("/createRule/code", "\"validation_nil\"");
	expect_ask(400, record_collection_create, NULL, NULL,
		"{'name':'v','type':'view','viewQuery':'SELECT id FROM posts',"
		"'indexes':['CREATE INDEX a ON v (id)']}");
	expect("/indexes/code", "\"validation_indexes_not_supported\"");
	expect_ask(200, record_list, "posts", NULL, NULL);
	expect("/totalItems", "3");
	teardown();
}

static void a_change_that_breaks_a_view_is_refused_by_its_name(void)
{
	setup();
	make_blog();
	expect_ask(200, record_collection_create, NULL, NULL,
		"{'name':'totals','type':'view','viewQuery':'SELECT id, n FROM posts'}");
	expect_ask(400, record_collection_update, "posts", NULL,
		"{'fields':[{'id':'text_id','name':'id','type':'text'},"
		"{'id':'f_title','name':'title','type':'text'}]}");
	expect("/views/code", "\"validation_view_dependency\"");
	CU_ASSERT_PTR_NOT_NULL(strstr(fix.body, "totals"));
	expect_ask(200, record_get, "posts", "post00000000001", NULL);
	expect("/n", "1.5");
	/* The type of its source is its own. */
	expect_ask(200, record_collection_update, "posts", NULL,
		"{'fields':[{'id':'text_id','name':'id','type':'text'},"
		"{'id':'f_title','name':'title','type':'text'},"
		"{'id':'f_n','name':'n','type':'text'}]}");
	expect_ask(200, record_collection_get, "totals", NULL, NULL);
	expect("/fields/1/type", "\"text\"");
	expect_ask(200, record_get, "totals", "post00000000001", NULL);
	expect("/n", "\"1.5\"");
	teardown();
}

static void types_change_and_lose_nothing_silently(void)
{
	const char *change = "{'fields':[{'id':'text_id','name':'id','type':'text'},"
			     "{'id':'f_title','name':'title','type':'number'},"
			     "{'id':'f_n','name':'n','type':'text'},"
			     "{'id':'f_tags','name':'tags','type':'select','values':['a','b','c']},"
			     "{'id':'f_data','name':'data','type':'editor'}]}";
	setup();
	make_blog();
	expect_ask(400, record_collection_update, "posts", NULL, change);
	expect("/fields/1/type/code", "\"validation_field_type_change\"");
	expect("/fields/1/type/params", "{\"lost\":1,\"rows\":2}");
	expect_ask(200, record_get, "posts", "post00000000000", NULL);
	expect("/title", "\"12\"");
	query("dryRun", "true");
	expect_ask(200, record_collection_update, "posts", NULL, change);
	expect("/collections/0/columns/retyped/0/lost", "1");
	expect("/collections/0/columns/retyped/0/sample",
		"{\"id\":\"post00000000001\",\"value\":\"word\"}");
	expect("/collections/0/columns/retyped/2/from", "\"select[]\"");
	expect("/collections/0/columns/retyped/2/lost", "3");
	expect("/collections/0/columns/dropped/0/name", "\"next\"");
	expect_ask(200, record_update, "posts", "post00000000001", "{'title':'-3.25'}");
	expect_ask(200, record_collection_update, "posts", NULL, change);
	expect_ask(200, record_list, "posts", NULL, NULL);
	expect("/items/0/title", "12");
	expect("/items/1/title", "-3.25");
	expect("/items/2/title", "0");
	expect("/items/1/n", "\"1.5\"");
	expect("/items/1/tags", "\"b\"");
	expect("/items/1/data", "\"{\\\"k\\\":1}\"");
	/* And back, with what a client would send. */
	query("lossy", "1");
	expect_ask(200, record_collection_update, "posts", NULL,
		"{'fields':[{'id':'text_id','name':'id','type':'text'},"
		"{'id':'f_title','name':'title','type':'bool'},"
		"{'id':'f_n','name':'n','type':'date'},"
		"{'id':'f_tags','name':'tags','type':'select','values':['a','b','c'],'maxSelect':2}"
		","
		"{'id':'f_data','name':'data','type':'json'}]}");
	expect_ask(200, record_list, "posts", NULL, NULL);
	expect("/items/0/title", "true");
	expect("/items/2/title", "false");
	expect("/items/1/n", "\"\"");
	expect("/items/1/tags", "[\"b\"]");
	expect("/items/1/data", "{\"k\":1}");
	teardown();
}

static void an_import_is_all_or_nothing(void)
{
	setup();
	make_blog();
	/* They point at each other, by ids that only the import knows. */
	const char *good =
		"{'collections':[{'id':'b_id','name':'b','fields':[{'name':'there','type':'"
		"relation',"
		"'collectionId':'a_id'}]},{'name':'v','type':'view','viewQuery':'SELECT a.id, "
		"b.there "
		"FROM a JOIN b ON b.id = "
		"a.there'},{'id':'a_id','name':'a','fields':[{'name':'there','type':"
		"'relation','collectionId':'b_id'},{'name':'c','type':'text'}]},"
		"{'id':'elsewhere','name':'notes','fields':[{'name':'more','type':'bool'}]}]}";
	query("dryRun", "1");
	expect_ask(200, record_collection_import, NULL, NULL, good);
	expect("/collections/0/action", "\"create\"");
	expect("/collections/3/action", "\"update\"");
	expect_ask(404, record_collection_get, "a", NULL, NULL);
	expect_ask(204, record_collection_import, NULL, NULL, good);
	expect_ask(204, record_collection_import, NULL, NULL, good);
	expect_ask(200, record_collection_get, "notes", NULL, NULL);
	expect("/id", "\"notes_id\"");
	expect("/fields/2/name", "\"text\"");
	expect_ask(200, record_get, "notes", "note00000000000", NULL);
	expect("/text", "\"a\"");
	expect("/more", "false");
	expect_ask(200, record_collection_get, "v", NULL, NULL);
	expect("/fields/1/type", "\"relation\"");
	/* One bad rule, and nothing of it is there. */
	expect_ask(400, record_collection_import, NULL, NULL,
		"{'collections':[{'name':'fresh','fields':[]},{'id':'a_id','name':'a','listRule':"
		"'nosuch = 1'}]}");
	expect("/collections/code", "\"validation_collections_import_failure\"");
	CU_ASSERT_PTR_NOT_NULL(strstr(fix.body, "validation_invalid_rule"));
	expect_ask(404, record_collection_get, "fresh", NULL, NULL);
	expect_ask(400, record_collection_import, NULL, NULL, "{'collections':[]}");
	expect("/collections/code", "\"validation_required\"");
	/* What it does not have goes; what is the system's stays. */
	expect_ask(204, record_collection_import, NULL, NULL,
		"{'deleteMissing':true,'collections':[{'id':'notes_id','name':'notes','listRule':"
		"null,'viewRule':null,'fields':[{"
		"'name':'text','type':'text'}]}]}");
	query("filter", "system = false");
	expect_ask(200, record_collection_list, NULL, NULL, NULL);
	expect("/totalItems", "1");
	expect_ask(200, record_collection_get, "_superusers", NULL, NULL);
	expect_ask(200, record_get, "notes", "note00000000000", NULL);
	expect("/text", "\"a\"");
	expect("/post", "(absent)");
	teardown();
}

static void a_truncation_minds_who_points_there(void)
{
	setup();
	make_blog();
	expect_ask(200, record_create, "posts", NULL, "{'id':'post00000000009','title':'t'}");
	expect_ask(200, record_update, "posts", "post00000000009", "{'next':'post00000000009'}");
	expect_ask(204, record_collection_truncate, "posts", NULL, NULL);
	expect_ask(200, record_list, "posts", NULL, NULL);
	expect("/totalItems", "0");
	expect_ask(200, record_get, "notes", "note00000000000", NULL);
	expect("/post", "\"\"");
	/* A required relation holds it. */
	expect_ask(200, record_create, "posts", NULL, "{'id':'post00000000001','title':'t'}");
	expect_ask(200, record_collection_create, NULL, NULL,
		"{'name':'needs','fields':[{'name':'p','type':'relation','required':true,"
		"'collectionId':'posts_id','maxSelect':3}]}");
	expect_ask(200, record_create, "needs", NULL,
		"{'id':'need00000000001','p':['post00000000001']}");
	expect_ask(400, record_collection_truncate, "posts", NULL, NULL);
	expect_ask(200, record_get, "posts", "post00000000001", NULL);
	/* Unless it goes along. */
	expect_ask(200, record_collection_update, "needs", NULL,
		"{'fields':[{'name':'id','type':'text'},{'name':'p','type':'relation','required':"
		"true,"
		"'collectionId':'posts_id','maxSelect':3,'cascadeDelete':true}]}");
	expect_ask(204, record_collection_truncate, "posts", NULL, NULL);
	expect_ask(404, record_get, "needs", "need00000000001", NULL);
	expect_ask(400, record_collection_truncate, "_superusers", NULL, NULL);
	fix.viewer = nobody;
	expect_ask(403, record_collection_truncate, "posts", NULL, NULL);
	expect_ask(403, record_collection_import, NULL, NULL, "{}");
	teardown();
}

static void collections_are_listed_as_asked(void)
{
	setup();
	make_blog();
	query("filter", "type = 'base' && name ~ 'o' && system = false");
	query("sort", "-name");
	query("perPage", "1");
	expect_ask(200, record_collection_list, NULL, NULL, NULL);
	expect("/totalItems", "2");
	expect("/totalPages", "2");
	expect("/items/0/name", "\"posts\"");
	static const char *const bad[][2] = { { "filter", "fields = ''" },
		{ "filter", "@collection.users.id = ''" }, { "filter", "name" },
		{ "sort", "fields" }, { "sort", "name;--" } };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		query(bad[i][0], bad[i][1]);
		expect_ask(400, record_collection_list, NULL, NULL, NULL);
	}
	expect_ask(200, record_collection_scaffolds, NULL, NULL, NULL);
	expect("/base/fields/0/name", "\"id\"");
	expect("/auth/fields/1/name", "\"password\"");
	expect("/view/viewQuery", "\"\"");
	expect("/view/listRule", "null");
	teardown();
}

static void what_is_unique_is_so_in_any_case(void)
{
	setup();
	expect_ask(200, record_collection_create, NULL, NULL,
		"{'name':'words','fields':[{'name':'w','type':'text'}],'indexes':['CREATE UNIQUE "
		"INDEX u ON words (w COLLATE NOCASE)']}");
	expect_ask(200, record_create, "words", NULL, "{'w':'Word'}");
	expect_ask(400, record_create, "words", NULL, "{'w':'wORD'}");
	expect("/w/code", "\"validation_not_unique\"");
	/* An index that the records break names itself. */
	expect_ask(200, record_collection_update, "words", NULL, "{'indexes':[]}");
	expect_ask(200, record_create, "words", NULL, "{'w':'wORD'}");
	expect_ask(400, record_collection_update, "words", NULL,
		"{'indexes':['CREATE INDEX a ON words (id)','CREATE UNIQUE INDEX u ON words (w "
		"COLLATE NOCASE)']}");
	expect("/indexes/1/code", "\"validation_invalid_index_expression\"");
	teardown();
}

static void signing_in_follows_new_names(void)
{
	setup();
	expect_ask(200, record_collection_create, NULL, NULL,
		"{'name':'staff','type':'auth','authRule':'level > 1','manageRule':"
		"'@request.auth.nick = "
		"`boss`','fields':[{'id':'f_l','name':'level','type':'number'},"
		"{'id':'f_n','name':'nick','type':'text','readRule':'nick != ``'}],"
		"'indexes':['CREATE UNIQUE INDEX n ON staff (nick)'],"
		"'passwordAuth':{'identityFields':['email','nick']}}");
	expect_ask(200, record_collection_get, "staff", NULL, NULL);
	expect("/fields/7/name", "\"nick\"");
	expect_ask(200, record_collection_update, "staff", NULL,
		"{'fields':[{'name':'id','type':'text'},{'name':'password','type':'password'},"
		"{'name':'tokenKey','type':'text'},{'name':'email','type':'email'},"
		"{'name':'emailVisibility','type':'bool'},{'name':'verified','type':'bool'},"
		"{'id':'f_l','name':'rank','type':'number'},"
		"{'id':'f_n','name':'alias','type':'text','readRule':'nick != ``'}]}");
	expect("/authRule", "\"rank > 1\"");
	expect("/manageRule", "\"@request.auth.alias = 'boss'\"");
	expect("/passwordAuth/identityFields", "[\"email\",\"alias\"]");
	expect("/fields/7/readRule", "\"alias != ''\"");
	teardown();
}

static const struct unit_test tests[] = {
	UNIT(an_editor_and_a_point_hold_what_they_may),
	UNIT(what_is_wrong_with_a_definition_stands_at_its_place),
	UNIT(names_move_with_all_that_mentions_them),
	UNIT(a_view_is_what_its_query_says),
	UNIT(a_view_sees_no_secret_and_changes_nothing),
	UNIT(a_change_that_breaks_a_view_is_refused_by_its_name),
	UNIT(types_change_and_lose_nothing_silently),
	UNIT(an_import_is_all_or_nothing),
	UNIT(a_truncation_minds_who_points_there),
	UNIT(collections_are_listed_as_asked),
	UNIT(what_is_unique_is_so_in_any_case),
	UNIT(signing_in_follows_new_names),
};

UNIT_MAIN("record_schema", tests)
