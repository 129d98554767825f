/**
 * world.mjs - equal data, and random questions and writes about it, from a fixed seed.
 *
 * All randomness comes from one generator, so that a difference can be looked at again by its number.
 */

/** A small generator of 32 bits (mulberry32, by Tommy Ettinger, public domain). */
export function generator(seed) {
	let state = seed >>> 0;
	const next = () => {
		state = (state + 0x6d2b79f5) >>> 0;
		let t = state;
		t = Math.imul(t ^ (t >>> 15), t | 1);
		t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
		return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
	};
	const below = (n) => Math.floor(next() * n);
	return { below, pick: (list) => list[below(list.length)], chance: (p) => next() < p };
}

const recordId = (prefix, n) => prefix + String(n).padStart(15 - prefix.length, "0");
export const AUTHORS = 12;
export const TAGS = 9;
export const POSTS = 400;
const WORDS = ["", "alpha", "Alpha", "beta 50%", "a_b", "axb", "100", "12", "0", "true", "null", "北京", "上海的天气", "naïve", "O'Brien", 'say "hi"', "back\\slash", "tab\there", "emoji 🪵", " padded "];
const NUMBERS = [0, 1, -1, 2, 12, 100, 0.5, -3.25, 1e6, 1e-3, 2147483648];
const DAYS = ["", "2026-01-01 00:00:00.000Z", "2026-06-15 12:30:00.000Z", "2025-12-31 23:59:59.999Z", "1999-01-01 00:00:00.000Z"];
export const KINDS = ["draft", "review", "done", "北"];
const METAS = [null, "", "text", 0, 12, true, false, [], [1, 2, 3], ["a"], {}, { a: 1 }, { a: { b: "x" } }, { a: "12" }, "北京"];

export const collections = [
	{ name: "authors", fields: [{ name: "name", type: "text" }, { name: "age", type: "number" }] },
	{ name: "tags", fields: [{ name: "name", type: "text" }] },
	{
		name: "posts",
		fields: [
			{ name: "title", type: "text" },
			{ name: "short", type: "text", min: 2, max: 8 },
			{ name: "amount", type: "number" },
			{ name: "rank", type: "number", min: -10, max: 1000, onlyInt: true },
			{ name: "flag", type: "bool" },
			{ name: "day", type: "date" },
			{ name: "mail", type: "email" },
			{ name: "link", type: "url" },
			{ name: "kind", type: "select", values: KINDS, maxSelect: 1 },
			{ name: "kinds", type: "select", values: KINDS, maxSelect: 3 },
			{ name: "meta", type: "json", maxSize: 2000 },
			{ name: "author", type: "relation", to: "authors", maxSelect: 1 },
			{ name: "tags", type: "relation", to: "tags", maxSelect: 4 },
		],
	},
];

function some(random, list, max) {
	const chosen = new Set();
	for (let n = random.below(max + 1); n > 0; n--) chosen.add(random.pick(list));
	return [...chosen];
}
const authorIds = Array.from({ length: AUTHORS }, (_, n) => recordId("author", n));
const tagIds = Array.from({ length: TAGS }, (_, n) => recordId("tag", n));

/** The records that both begin with: [collection, record]. */
export function rows(seed) {
	const random = generator(seed);
	const all = [];
	authorIds.forEach((id, n) => all.push(["authors", { id, name: WORDS[n % WORDS.length], age: random.pick(NUMBERS) }]));
	tagIds.forEach((id, n) => all.push(["tags", { id, name: WORDS[(n * 2) % WORDS.length] }]));
	for (let n = 0; n < POSTS; n++)
		all.push([
			"posts",
			{
				id: recordId("post", n),
				title: random.pick(WORDS),
				short: random.pick(["", "ab", "abcdefgh", "北京"]),
				amount: random.pick(NUMBERS),
				rank: random.pick([0, 1, -10, 1000, 7]),
				flag: random.chance(0.5),
				day: random.pick(DAYS),
				kind: random.chance(0.3) ? "" : random.pick(KINDS),
				kinds: some(random, KINDS, 3),
				meta: random.pick(METAS),
				author: random.chance(0.2) ? "" : random.pick(authorIds),
				tags: some(random, tagIds, 4),
			},
		]);
	return all;
}

// ---- questions ----
const FIELDS = ["title", "short", "amount", "rank", "flag", "day", "kind", "kinds", "meta", "meta.a", "author", "author.name", "author.age", "tags", "tags.name", "id"];
const OPERATORS = ["=", "!=", ">", ">=", "<", "<=", "~", "!~"];
const SORTS = ["title", "short", "amount", "rank", "flag", "day", "kind", "author", "author.name", "author.age", "id"];

function literal(random) {
	const quote = (text) => `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
	switch (random.below(7)) {
		case 0:
			return String(random.pick(NUMBERS));
		case 1:
			return random.pick(["true", "false"]);
		case 2:
			return "null";
		case 3:
			return '""';
		case 4:
			return quote(random.pick(["%a", "a%", "%50%", "a_b", "_", "%", "北%", "%天%", "%"]));
		case 5:
			return quote(random.pick([...DAYS, ...KINDS, ...authorIds.slice(0, 3), ...tagIds.slice(0, 3)]));
		default:
			return quote(random.pick(WORDS.filter((word) => !/[\\\t]/.test(word))));
	}
}
function comparison(random) {
	const operator = (random.chance(0.25) ? "?" : "") + random.pick(OPERATORS);
	const left = random.pick(FIELDS);
	return `${left} ${operator} ${random.chance(0.12) ? random.pick(FIELDS) : literal(random)}`;
}
function filter(random, depth) {
	if (depth === 0 || random.chance(0.45)) return comparison(random);
	const parts = Array.from({ length: 2 + random.below(2) }, () => filter(random, depth - 1));
	const joined = parts.reduce((text, part) => `${text} ${random.pick(["&&", "||"])} ${part}`);
	return random.chance(0.5) ? `(${joined})` : joined;
}
export function questions(seed, count) {
	const random = generator(seed);
	return Array.from({ length: count }, () => {
		const sort = some(random, SORTS, 2).map((key) => (random.chance(0.5) ? "-" : "") + key);
		return { filter: filter(random, 2), sort: [...sort.filter((key) => !/id$/.test(key)), "id"].join(",") };
	});
}

// ---- writes ----
const ANY = [...WORDS, ...NUMBERS, true, false, null, [], ["draft"], ["draft", "done"], {}, { a: 1 }, "not an address", "a@b.co", "https://example.org/x", "2026-02-30", "2026-03-04"];
const SHORTS = ["", "a", "ab", "abcdefgh", "abcdefghi", "北", "北京"];
const values = {
	title: WORDS,
	short: SHORTS,
	amount: [...NUMBERS, "12", "x", null, true],
	rank: [0, 1, -10, -11, 1000, 1001, 1.5, "7", null],
	flag: [true, false, "true", "0", 1, 0, null],
	day: [...DAYS, "2026-02-30", "yesterday", 0, null, "2026-03-04"],
	mail: ["", "a@b.co", "A@B.CO", "a@b", "no", "ä@ö.de", null],
	link: ["", "https://example.org", "http://a.b/c?d=e#f", "ftp://x.y", "no", "javascript:alert(1)", null],
	kind: [...KINDS, "", "other", null, ["draft"], 7],
	kinds: [[], ["draft"], ["draft", "done"], ["draft", "draft"], ["draft", "review", "done", "北"], ["other"], "draft", "", null],
	meta: METAS,
	author: [...authorIds.slice(0, 4), "", "author000000099", null, [authorIds[0]], 5],
	tags: [[], [tagIds[0]], [tagIds[0], tagIds[1]], tagIds.slice(0, 5), ["tag000000000099"], tagIds[2], "", null],
};
const MODIFIERS = { "amount+": [1, -2.5, "3", "x"], "amount-": [1, 0.5], "kinds+": ["done", ["review", "done"]], "kinds-": ["draft", ["draft", "done"]], "tags+": [tagIds[3], [tagIds[4], tagIds[5]]], "tags-": [tagIds[0], tagIds.slice(0, 3)] };

function body(random, isCreate) {
	const one = {};
	for (const name of Object.keys(values))
		if (random.chance(isCreate ? 0.5 : 0.25)) one[name] = random.chance(0.06) ? random.pick(ANY) : random.pick(values[name]);
	if (random.chance(isCreate ? 0.05 : 0.3)) {
		const name = random.pick(Object.keys(MODIFIERS));
		one[name] = random.pick(MODIFIERS[name]);
	}
	return one;
}
/** [method, id, body]; an id may be one that is not there any more. */
export function writes(seed, count) {
	const random = generator(seed);
	let made = 0;
	return Array.from({ length: count }, () => {
		const kind = random.below(10);
		if (kind < 4) {
			const id = random.chance(0.05)
				? random.pick(["short", "UPPER0000000000"])
				: recordId("new", random.chance(0.15) ? random.below(made + 1) : made++);
			return ["POST", "", { id, ...body(random, true) }];
		}
		const id = random.chance(0.5) ? recordId("post", random.below(POSTS)) : recordId("new", random.below(made + 1));
		return kind < 9 ? ["PATCH", id, body(random, false)] : ["DELETE", id, undefined];
	});
}
