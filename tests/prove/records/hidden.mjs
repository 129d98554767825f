// hidden.mjs - asks two servers, whose data differ only in values that the asker may not read, the same requests
//
//   node hidden.mjs A B FIELD      A, B: base URLs of a fresh tenant, with a superuser's token: URL,TOKEN
//                                  FIELD: "" or the name of a field that is shown to all (the test of this test)
//
// Prints "requests=N differing=M good=K" (K: not refused) and, for the first few that differ, both answers. Requests come from the table below,
// filled in by a generator with a fixed seed, so that they are the same in every run.

const [, , a, b, shown] = process.argv;
const servers = [a, b].map((text, i) => ({
	base: text.split(',')[0], superuser: text.split(',')[1], tokens: {}, cursors: {}, etags: {}, i,
}));

// ---- the data ----
// What differs between the two: everything that goes through other().
const other = (server, first, second) => (server.i ? second : first);
const RULE = 'owner = @request.auth.id';
const guard = (field, how) => (field.name === shown ? field : { ...field, ...how });
const ruled = (field) => guard(field, { readRule: RULE });
const hidden = (field) => guard(field, { hidden: true });
const open = { listRule: '', viewRule: '', createRule: '', updateRule: '', deleteRule: '' };
const collections = [
	{ name: 'teams', type: 'base', ...open, fields: [{ name: 'name', type: 'text' }, hidden({ name: 'rating', type: 'number' })] },
	{
		name: 'staff', type: 'base', ...open,
		fields: [
			{ name: 'name', type: 'text' },
			{ name: 'rank', type: 'number' },
			{ name: 'owner', type: 'relation', collectionId: '_pb_users_auth_' },
			{ name: 'team', type: 'relation', collectionId: 'teams' },
			ruled({ name: 'pay', type: 'number' }),
			ruled({ name: 'code', type: 'text' }),
			ruled({ name: 'rival', type: 'relation', collectionId: 'teams' }),
			ruled({ name: 'perks', type: 'select', values: ['a', 'b', 'c'], maxSelect: 3 }),
			hidden({ name: 'secret', type: 'text' }),
			hidden({ name: 'spy', type: 'relation', collectionId: 'teams' }),
			hidden({ name: 'data', type: 'json' }),
		],
		indexes: ["CREATE UNIQUE INDEX `staff_code` ON `staff` (`code`) WHERE `code` != ''", "CREATE INDEX `staff_pay` ON `staff` (`pay`)"],
	},
	{
		name: 'notes', type: 'base', ...open, viewRule: 'score >= 0',
		fields: [
			{ name: 'text', type: 'text' },
			{ name: 'author', type: 'relation', collectionId: 'staff' },
			hidden({ name: 'score', type: 'number' }),
		],
	},
];
const N = 40;
const id = (kind, n) => kind + String(n).padStart(15 - kind.length, '0');

async function call(server, method, path, body, token, headers = {}) {
	const answer = await fetch(server.base + path, {
		method,
		headers: { ...(token ? { Authorization: token } : {}), ...(body ? { 'Content-Type': 'application/json' } : {}), ...headers },
		body: body ? JSON.stringify(body) : undefined,
	});
	return { status: answer.status, headers: answer.headers, text: await answer.text() };
}

async function make(server, path, body) {
	const answer = await call(server, 'POST', path, body, server.superuser);
	if (answer.status !== 200) throw new Error(`${path}: ${answer.status} ${answer.text}`);
	return JSON.parse(answer.text);
}

async function setUp(server) {
	const ids = {};
	for (const collection of collections) {
		const text = JSON.stringify(collection, (k, v) => (k === 'collectionId' ? (ids[v] ?? v) : v));
		ids[collection.name] = (await make(server, '/api/collections', { id: id('coll', Object.keys(ids).length), ...JSON.parse(text) })).id;
	}
	const rules = await call(server, 'PATCH', '/api/collections/users', { listRule: '', viewRule: '' }, server.superuser);
	if (rules.status !== 200) throw new Error(rules.text);
	// Who asks has the same address on both; nobody sees the others'.
	for (let n = 0; n < 6; n++) {
		const email = n < 2 ? `user${n}@x.example` : other(server, `a${n}@first.example`, `z${9 - n}@second.example`);
		await make(server, '/api/collections/users/records', {
			id: id('user', n), email, password: '12345678', passwordConfirm: '12345678', name: `User ${n}`, emailVisibility: shown === 'email',
		});
	}
	for (let n = 0; n < 5; n++)
		await make(server, '/api/collections/teams/records', { id: id('team', n), name: `Team ${n}`, rating: other(server, n, 50 - n) });
	for (let n = 0; n < N; n++) {
		// User 0 reads these of every tenth record: they are alike on both.
		const may = n % 10 === 0;
		const pick = (first, second) => (may ? first : other(server, first, second));
		await make(server, '/api/collections/staff/records', {
			id: id('staf', n), name: `Name ${n % 7}`, rank: n % 5, owner: may ? id('user', 0) : id('user', 2 + (n % 4)), team: id('team', n % 5),
			pay: pick(n * 10, 5000 - n * 7), code: pick(`C${n}`, `D${(n * 17) % 1000}`), rival: pick(id('team', n % 4), id('team', (n + 1) % 5)),
			perks: pick(['a'], n % 2 ? ['b', 'c'] : []), secret: other(server, `s${n}`, `t${N - n}`), spy: other(server, id('team', n % 3), id('team', 4)),
			data: other(server, { k: n }, [n]),
		});
	}
	for (let n = 0; n < N; n++)
		await make(server, '/api/collections/notes/records', {
			id: id('note', n), text: `Note ${n % 9}`, author: id('staf', (n * 3) % N), score: other(server, n, n * n + 1),
		});
	for (const n of [0, 1]) {
		const answer = await call(server, 'POST', '/api/collections/users/auth-with-password', { identity: `user${n}@x.example`, password: '12345678' });
		server.tokens[`user${n}`] = JSON.parse(answer.text).token;
	}
}

// ---- the requests ----
// {x} is one of words.x; a line is asked as often as its number says.
const words = {
	c: ['pay', 'code', 'rival', 'perks', 'secret', 'spy', 'data', 'rival.name', 'spy.name', 'owner.email', 'team.rating', 'name', 'rank'],
	f: ['pay', 'code', 'rival', 'secret', 'rank', 'name'],
	plain: ['pay', 'code', 'rival', 'name', 'rank', 'team', 'owner', 'team.name', 'rival.name', 'owner.email', 'secret', 'spy'],
	num: ['pay', 'rank', 'secret', 'team.rating'],
	op: ['=', '!=', '>', '>=', '<', '<=', '~', '!~', '?=', '?!=', '?~'],
	v: ['100', '"C7"', '"D17"', '"s1"', '""', 'null', '5', '200.5', '"%1%"', '"first"', '"second"', '"team00000000001"', '"a"', 'true'],
	join: ['&&', '||'],
	sign: ['', '-'],
	page: ['1', '2', '3'],
	per: ['3', '7', '30', '1000'],
	skip: ['', '&skipTotal=1'],
	staff: Array.from({ length: N }, (_, n) => id('staf', n)),
	note: Array.from({ length: N }, (_, n) => id('note', n)),
	team: Array.from({ length: 5 }, (_, n) => id('team', n)),
	user: Array.from({ length: 6 }, (_, n) => id('user', n)),
	expand: ['rival', 'spy', 'team', 'owner', 'rival,spy,owner.staff_via_owner', 'notes_via_author', 'notes_via_author.author.rival', 'team.staff_via_rival', 'team.staff_via_spy'],
	back: ['staff_via_rival', 'staff_via_spy', 'staff_via_team', 'staff_via_rival.rival', 'staff_via_team.notes_via_author'],
	pick: ['*', 'id,pay,secret', 'pay', 'secret', 'data.k', '*,expand.rival.name', 'code:excerpt(2,true),perks', 'email,name'],
	n: ['0', '1', '7', '900'],
	topic: ['staff/*', 'notes/*', 'staff/staf00000000010', 'staff/staf00000000011', 'staff/*?options={"query":{"filter":"pay > 100"}}',
		'staff/*?options={"query":{"expand":"rival,spy,notes_via_author","fields":"id,pay,secret,expand.*"}}', 'users/*'],
};
const S = '/api/collections/staff/records';
const templates = [
	[68, 'GET', `${S}?filter={c} {op} {v}&perPage={per}{skip}&fields=id,name,pay,secret`],
	[20, 'GET', `${S}?filter={c} {op} {v} {join} {c} {op} {v}&sort={sign}{f}`],
	[40, 'GET', `${S}?sort={sign}{f},{sign}rank&page={page}&perPage={per}{skip}`],
	[20, 'GET', '/api/collections/notes/records?filter=author.{c} {op} {v}&sort={sign}author.{f}&expand=author.rival'],
	[10, 'GET', '/api/collections/notes/records?sort={sign}score&filter=score > {n}'],
	[30, 'CURSOR', `${S}?sort={sign}{f}&perPage=7`],
	[10, 'CURSOR', `${S}?perPage=7&filter={c} {op} {v}`],
	[40, 'GET', `${S}?aggregate[sum]={num}&aggregate[count]=*&groupBy={plain}&sort={sign}count`],
	[20, 'GET', `${S}?aggregate[min]={plain}&aggregate[max]={f}&aggregate[avg]={num}&filter=rank > {n}`],
	[20, 'GET', `${S}?groupBy={plain},{plain}&aggregate[count]={plain}&perPage={per}`],
	[30, 'GET', `${S}/{staff}?fields={pick}&expand={expand}`],
	[20, 'GET', `${S}?expand={expand}&perPage={per}&fields={pick}`],
	[20, 'GET', '/api/collections/teams/records/{team}?expand={back}'],
	[10, 'GET', '/api/collections/teams/records?expand={back}&sort={sign}rating'],
	[10, 'GET', '/api/collections/notes/records/{note}?expand=author.rival,author.spy'],
	[10, 'GET', '/api/collections/users/records?filter=email {op} {v}&sort={sign}email&fields=id,email,name'],
	[10, 'GET', '/api/collections/users/records?sort={sign}email&aggregate[count]=*&groupBy=email'],
	[30, 'ETAG', `${S}/{staff}`],
	[20, 'EXPORT', `${S}/export?format=csv&sort={sign}{f}&filter={c} {op} {v}`],
	[10, 'EXPORT', `${S}/export?format=json&fields={pick}&sort=name`],
	[10, 'PATCH', `${S}/{staff}`, { rank: '{n}' }],
	[10, 'PATCH', `${S}/{staff}`, { rank: '{n}', secret: 'x', spy: '', pay: '{n}' }],
	[10, 'PATCH', `${S}/{staff}`, { code: 'both' }],
	[5, 'PATCH', `${S}/{staff}`, { 'pay+': '{n}', 'perks-': 'a' }, { 'Tenon-Strict': '1' }],
	[12, 'REALTIME', '{topic}', { rank: '{n}' }],
	[5, 'POST', S, { id: '{staff}', name: 'again', code: 'both' }],
];
const viewers = ['', 'user0', 'user1'];

let state = 40;
const random = (n) => {
	state = (state + 0x6d2b79f5) | 0;
	let t = Math.imul(state ^ (state >>> 15), 1 | state);
	t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
	return ((t ^ (t >>> 14)) >>> 0) % n;
};
const fill = (text) => text.replace(/\{([a-z]+)\}/g, (_, word) => words[word][random(words[word].length)]);
function requests() {
	const list = [];
	for (const [count, kind, path, body, headers] of templates)
		for (let i = 0; i < count; i++)
			list.push({ kind, path: fill(path), body: body && JSON.parse(fill(JSON.stringify(body))), headers, viewer: viewers[i % 3] });
	for (let i = list.length - 1; i > 0; i--) {
		const j = random(i + 1);
		[list[i], list[j]] = [list[j], list[i]];
	}
	return list;
}

// ---- realtime ----
// A client subscribes; a superuser changes records, the hidden values of which stay other ones on the other server; what the
// client is told until a last change, which all may see, is the answer.
async function watch(server, request, turn) {
	const gone = new AbortController();
	const stream = await fetch(`${server.base}/api/realtime`, { signal: gone.signal });
	const reader = stream.body.pipeThrough(new TextDecoderStream()).getReader();
	let text = '';
	const until = async (pattern) => {
		for (;;) {
			const found = pattern.exec(text);
			if (found) return found;
			const { value, done } = await reader.read();
			if (done) throw new Error(`the stream ended: ${text}`);
			text += value;
		}
	};
	const [, clientId] = await until(/"clientId":"([^"]+)"/);
	const subscribed = await call(server, 'POST', '/api/realtime', { clientId, subscriptions: [request.path, 'teams/*'] }, server.tokens[request.viewer]);
	text = '';
	const change = async (collection, which, body) => {
		const answer = await call(server, 'PATCH', `/api/collections/${collection}/records/${which}`, body, server.superuser);
		if (answer.status !== 200) throw new Error(answer.text);
	};
	for (const n of [10, 11, 13]) {
		await change('staff', id('staf', n), { ...request.body, ...(n === 10 ? {} : { pay: other(server, turn, 9000 - turn), secret: other(server, 'p', 'q') }) });
		await change('notes', id('note', n), { text: `Turn ${turn}`, score: other(server, turn, turn * turn) });
	}
	await change('users', id('user', 4), { name: `Turn ${turn}` });
	await change('teams', id('team', 0), { name: `Turn ${turn}`, rating: other(server, turn, -turn) });
	await until(new RegExp(`Turn ${turn}".*\\n\\n`));
	await until(new RegExp(`"id":"${id('team', 0)}"[^\\n]*\\n\\n`));
	gone.abort();
	return `${subscribed.status}\n${normal(text.replace(/^id:.*\n/gm, ''))}`;
}

// ---- asking ----
const encode = (path) => encodeURI(path).replace(/&&/g, '%26%26').replace(/\+/g, '%2B');
// Trace ids and times may differ, and the code that a cursor is signed with by a secret of the server's.
// A tag is of the whole body, so of the times in it too.
const TIME = /\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}Z/;
const normal = (text) =>
	text.replace(/"traceId":"[0-9a-f]*"/g, '"traceId":""').replaceAll(new RegExp(TIME, 'g'), 'TIME').replace(/("nextCursor":")[^"]{20}/g, '$1');
const headersOf = (headers, drop) =>
	[...headers].filter(([name]) => !['date', 'x-request-id', 'traceparent', 'content-length', ...drop].includes(name)).map((pair) => pair.join(': ')).join('\n');

async function ask(server, request, turn) {
	if (request.kind === 'REALTIME') return watch(server, request, turn);
	const token = server.tokens[request.viewer];
	const method = ['PATCH', 'POST'].includes(request.kind) ? request.kind : 'GET';
	const seen = [];
	const key = `${request.viewer} ${request.path}`;
	let path = request.path, headers = request.headers ?? {};
	for (let step = 0; step < 3; step++) {
		if (request.kind === 'CURSOR') path = `${request.path}&cursor=${server.cursors[key] ?? ''}`;
		if (request.kind === 'ETAG' && server.etags[key]) headers = { 'If-None-Match': server.etags[key] };
		const answer = await call(server, method, encode(path), request.body, token, headers);
		seen.push(`${answer.status}\n${headersOf(answer.headers, TIME.test(answer.text) ? ['etag'] : [])}\n${normal(answer.text)}`);
		if (request.kind === 'ETAG') server.etags[key] = answer.headers.get('etag');
		else if (request.kind === 'CURSOR' && answer.status === 200) server.cursors[key] = JSON.parse(answer.text).nextCursor ?? '';
		else break;
		if (request.kind === 'ETAG' && step) break;
	}
	return seen.join('\n\n');
}

for (const server of servers) await setUp(server);
const list = requests();
let differing = 0, good = 0;
for (const [turn, request] of list.entries()) {
	const [first, second] = await Promise.all(servers.map((server) => ask(server, request, turn + 1)));
	good += /^[23]/.test(first);
	if (process.env.HIDDEN_TRACE) console.error(`${first.slice(0, 3)} ${first === second ? 'same' : 'DIFF'} ${request.viewer || 'guest'} ${request.kind} ${request.path}`);
	if (first === second) continue;
	if (differing++ < 3 && !shown) console.error(`${request.viewer || 'guest'} ${request.kind} ${request.path}\n--- one\n${first}\n--- other\n${second}\n`);
}
console.log(`requests=${list.length} differing=${differing} good=${good}`);
