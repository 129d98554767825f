/*
 * What lists, relations to many, back-relations and @collection mean. The literals are what
 * PocketBase 0.22.20 answered on the same rows, but where a line says otherwise.
 */
#include "expr_fixture.h"

static void a_list_is_its_text_until_it_is_asked_for_its_items(void)
{
	CHECK({ "tags = 'a'", "" }, { "tags ~ 'a'", "14" }, { "tags = '[\"a\"]'", "4" },
		{ "tags:each = 'b'", "3" }, { "tags:each != 'a'", "35" },
		{ "tags:each ?!= 'a'", "123567" }, { "tags:each ?= 'a'", "14" },
		{ "tags:each !~ 'a'", "35" }, { "tags:each ?!~ 'a'", "135" },
		{ "tags:each = ''", "267" }, { "tags:each != ''", "1345" },
		{ "tags:each > 'a'", "35" }, { "tags:length = 0", "267" },
		{ "tags:length = 2", "1" }, { "friends:length = 2", "15" });
	/* Without :each it is its text, whatever the operator. */
	CHECK({ "tags ?= 'a'", "" }, { "tags ?~ 'a'", "14" }, { "friends ?= 'u2'", "" },
		{ "friends:each ?= 'u2'", "13" });
}

static void a_single_choice_is_a_list_of_at_most_one(void)
{
	CHECK({ "one:length = 0", "24567" }, { "one:length = 1", "13" },
		{ "one:each = ''", "24567" }, { "one:each = 'a'", "1" },
		{ "one:each > 5.5", "1234567" }, { "data <= one:each", "67" },
		{ "author:length = 0", "3567" }, { "title:length = 5", "!" },
		{ "title:each = 'Hello'", "!" });
}

static void without_a_question_mark_no_row_may_fail(void)
{
	CHECK({ "friends.name = 'Ann'", "4" }, { "friends.name != 'Ann'", "3" },
		{ "friends.name ?= 'Ann'", "145" }, { "friends.name ?!= 'Ann'", "123567" },
		{ "friends.name !~ 'A'", "3" }, { "friends.name ~ 'n'", "4" },
		{ "friends.name = ''", "267" }, { "friends.name > 'B'", "3" },
		{ "friends.age = 5", "4" }, { "friends.age ?= '5'", "145" },
		{ "friends.id ?= 'u2'", "13" }, { "friends.id = 'u2'", "3" });
}

static void a_row_without_a_value_fails_all_but_equality(void)
{
	CHECK({ "friends.team.name = 'red'", "45" }, { "friends.team.name != 'red'", "3" },
		{ "friends.team.name ~ 'red'", "4" }, { "friends.team.name !~ 'red'", "3" },
		{ "friends.team.name > 'b'", "134" }, { "friends.team.name = ''", "267" },
		{ "friends.team.name = null", "267" });
}

static void two_lists_are_compared_pair_by_pair(void)
{
	CHECK({ "friends.name = author.name", "67" }, { "friends.name != author.name", "345" },
		{ "friends.name ?= author.name", "167" },
		{ "friends.team.name = tags:each", "267" },
		{ "friends.name = friends.name", "23467" }, { "friends.name = tags:each", "267" },
		{ "author.name != friends.name", "345" });
}

static void conditions_of_one_and_speak_of_the_same_row(void)
{
	CHECK({ "friends.name ?= 'Ann' && friends.team.name ?= 'blue'", "" },
		{ "friends.name ?= 'Ann' && friends.team.name ?= 'red'", "145" },
		{ "friends.name ?= 'Ann' && (friends.team.name ?= 'blue' || n = 4)", "" },
		{ "friends.name ?= 'Ann' && (friends.team.name ?= 'blue' || n = 1)", "1" },
		{ "friends.name ?= 'Ann' || friends.team.name ?= 'blue'", "1345" },
		{ "tags:each ?= 'a' && tags:each ?= 'b'", "" },
		{ "tags:each ?= 'a' && tags:each ?!= 'b'", "14" },
		{ "friends.name ?= 'Bob' && n = 1 && friends:each ?= 'u2'", "1" },
		{ "friends.name ?= 'Bob' && n = 1 && friends:each ?= 'u1'", "" });
}

static void back_relations_are_lists_of_rows(void)
{
	CHECK({ "comments_via_post.text = 'good'", "3" },
		{ "comments_via_post.text ?= 'good'", "13" },
		{ "comments_via_post.text != 'good'", "" },
		{ "comments_via_post.text ?!= 'good'", "124567" },
		{ "comments_via_post.text ~ 'o'", "3" }, { "comments_via_post.id = ''", "24567" },
		{ "comments_via_post.id != ''", "13" }, { "comments_via_posts.text ?= 'bad'", "2" },
		{ "comments_via_posts.text = 'bad'", "" },
		{ "comments_via_post.post.title ?= 'Hello'", "1" },
		{ "comments_via_post.posts.title ?= '100%'", "1" },
		{ "comments_via_post.posts.title = '100%'", "" },
		{ "comments_via_nosuch.text = 'x'", "!" }, { "comments_via_post = 'c1'", "!" },
		{ "people_via_post.name = 'x'", "!" }, { "teams_via_team.name = 'x'", "!" });
}

static void a_unique_index_makes_a_back_relation_single(void)
{
	/* With a list, a row without a value would fail the second. */
	CHECK({ "author.profiles_via_person.bio = 'a painter'", "1" },
		{ "author.profiles_via_person.bio != 'a painter'", "234567" },
		{ "author.profiles_via_person.bio = ''", "234567" },
		{ "author.profiles_via_person.person.name = 'Bob'", "2" },
		{ "friends.profiles_via_person.bio ?= 'a painter'", "145" });
	CU_ASSERT_PTR_NULL(memmem(fixture.sql.sql.p, fixture.sql.sql.n, "NOT EXISTS", 10));
}

static void any_collection_can_be_asked(void)
{
	CHECK({ "@collection.comments.text ?= 'good'", "1234567" },
		{ "@collection.comments.text = 'good'", "" },
		{ "@collection.comments.post ?= id && @collection.comments.text ?= 'bad'", "1" },
		{ "@collection.comments.post ?= id && @collection.comments:x.text ?= 'bad'", "13" },
		{ "@collection.comments:x.post ?= id && @collection.comments:x.text ?= 'bad'",
			"1" },
		{ "@collection.comments.post.author.name ?= 'Ann'", "1234567" },
		{ "@collection.teams.name ?= author.team.name", "12" },
		{ "@collection.nosuch.text = 'x'", "!" }, { "@collection.comments = 'x'", "!" },
		{ "@collection = 'x'", "!" }, { "@collection.comments.nosuch ?= 1", "!" });
}

static void json_is_compared_as_it_is(void)
{
	CHECK({ "data = null", "25" }, { "data = ''", "" }, { "data != ''", "1234567" },
		{ "data = 12", "67" }, { "data = '12'", "" }, { "data ~ '7'", "4" },
		{ "data ~ 'te'", "3" }, { "data.0 = 7", "4" }, { "data.k = '{\"z\":[1,5]}'", "1" },
		{ "data.k.z = '[1,5]'", "1" }, { "data.k.z ~ 5", "1" }, { "data.k.z.1 = 5", "1" },
		{ "data.k.z.1 > '4'", "" }, { "data.k.z.1 > 4", "1" },
		{ "data.nosuch = null", "1234567" }, { "data.nosuch = ''", "" },
		{ "data.nosuch != 1", "1234567" }, { "data > 1", "13467" },
		{ "@collection.comments.post.title != data.s", "1" },
		{ "data.k.z.9 = null", "1234567" });
	/* Ours. */
	CHECK({ "data ?= 7", "" }, { "data:each ?= 7", "4" }, { "data:length = 2", "4" },
		{ "data:each ?> 7", "13467" }, { "data.k.z:each > 0", "1" },
		{ "data.s:lower = 'v'", "1" });
}

static void what_was_sent_is_a_list_as_well(void)
{
	CHECK({ "@request.body.tags:each = 'x'", "" },
		{ "@request.body.tags:each = ''", "" /* as 0.23 has it */ },
		{ "@request.body.tags:length = 0", "1234567" },
		{ "@request.body.friends.name ?= 'Ann'", "" },
		{ "@request.body.friends.name = ''", "1234567" });
	fixture.body = "{\"tags\":[\"x\",\"xy\"],\"friends\":[\"u1\",\"u3\"],\"author\":\"u2\","
		       "\"one\":\"[1]\",\"n\":\"12\",\"data\":{\"a\": [1, 2]}}";
	CHECK({ "@request.body.tags:each = 'x'", "" },
		{ "@request.body.tags:each ~ 'x'", "1234567" },
		{ "@request.body.tags:each ?= 'xy'", "1234567" },
		{ "@request.body.tags:each ?= 'x' && @request.body.tags:each ?= 'xy'", "" },
		{ "@request.body.tags:length = 2", "1234567" },
		{ "@request.body.one:length = 1", "1234567" },
		{ "@request.body.one:each = '[1]'", "1234567" },
		{ "@request.body.friends.name ?= 'Ann'", "1234567" },
		{ "@request.body.friends.name = 'Ann'", "" },
		{ "@request.body.friends.age < 6", "1234567" },
		{ "@request.body.friends.team.name ?= 'red'", "1234567" },
		{ "@request.body.author.name = 'Bob'", "1234567" },
		{ "@request.body.author.team.name = author.team.name", "2" },
		{ "@request.body.author.comments_via_post.text = 'x'", "!" },
		{ "n = @request.body.n", "6" }, { "title = @request.body.n", "" },
		{ "@request.body.data = '{\"a\":[1,2]}'", "1234567" },
		{ "@request.body.data.a.1 = 2", "1234567" },
		{ "@request.body.author:changed = true", "134567" },
		{ "@request.body.n:changed = true", "123457" },
		{ "@request.body.tags:changed = true", "1234567" },
		{ "@request.body.title:changed = false", "1234567" },
		{ "@request.body.nosuch:changed = true", "!" });
	fixture.body = "{\"tags\":[ \"a\" , \"b\" ],\"title\":\"\"}";
	CHECK({ "@request.body.tags:changed = true", "234567" },
		{ "@request.body.title:changed = true", "124567" });
	fixture.body = NULL;
}

static void whoever_asks_is_reached_at_any_depth(void)
{
	CHECK({ "@request.auth.team.name = ''", "1234567" },
		{ "@request.auth.nosuch = ''", "1234567" });
	fixture.auth_id = "u1";
	fixture.auth_collection = "c_people";
	CHECK({ "@request.auth.team.name = 'red'", "1234567" },
		{ "@request.auth.name = author.name", "1" }, { "@request.auth.age > 4", "1234567" },
		{ "@request.auth.age = '5'", "1234567" },
		{ "@request.auth.team = 't1'", "1234567" },
		{ "friends.id ?= @request.auth.id", "145" },
		{ "@request.auth.posts_via_author.title ?= title", "1" },
		{ "@request.auth.posts_via_friends.title ?= title", "145" },
		{ "@request.auth.posts_via_friends.n ?> 30", "1234567" },
		{ "@request.auth.posts_via_friends.n > 30", "" },
		{ "@request.auth.profiles_via_person.bio = 'a painter'", "1234567" },
		{ "@request.auth.name:lower = 'ann'", "1234567" },
		{ "@request.auth.nosuch.x = ''", "1234567" });
	fixture.auth_id = "t2";
	fixture.auth_collection = "c_teams";
	CHECK({ "@request.auth.name = 'blue'", "1234567" }, { "@request.auth.age > 4", "" },
		{ "@request.auth.age = ''", "1234567" });
	fixture.auth_id = fixture.auth_collection = NULL;
}

static const struct unit_test tests[] = {
	UNIT(a_list_is_its_text_until_it_is_asked_for_its_items),
	UNIT(a_single_choice_is_a_list_of_at_most_one),
	UNIT(without_a_question_mark_no_row_may_fail),
	UNIT(a_row_without_a_value_fails_all_but_equality),
	UNIT(two_lists_are_compared_pair_by_pair),
	UNIT(conditions_of_one_and_speak_of_the_same_row),
	UNIT(back_relations_are_lists_of_rows),
	UNIT(a_unique_index_makes_a_back_relation_single),
	UNIT(any_collection_can_be_asked),
	UNIT(json_is_compared_as_it_is),
	UNIT(what_was_sent_is_a_list_as_well),
	UNIT(whoever_asks_is_reached_at_any_depth),
};

FIXTURE_MAIN("expr_many", tests)
