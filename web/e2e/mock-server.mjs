/**
 * A stand-in for the server: serves web/dist with the headers of the real one, which it reads from the
 * server's own source, and answers /platform with figures made up from a fixed seed.
 *
 *   node e2e/mock-server.mjs [--port 8099]
 */
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const WEB = fileURLToPath(new URL("..", import.meta.url));
const DIST = join(WEB, "dist");
const TYPES = {
	".css": "text/css; charset=utf-8",
	".html": "text/html; charset=utf-8",
	".js": "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
};

/** The header table of server/console: one truth, so that this server is as strict as the real one. */
async function readHeaders() {
	const source = await readFile(join(WEB, "../server/console/src/console.c"), "utf8");
	const literals = (text) =>
		[...text.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map((match) => match[1]).join("");
	const policy = literals(/#define POLICY([\s\S]*?)\n\n/.exec(source)[1]);
	const table = /headers\[\] = \{([\s\S]*?)\n\};/.exec(source)[1];
	const rows = [
		...table.matchAll(/\{\s*TEXT\(("[^"]*")\),\s*TEXT\(("(?:[^"\\]|\\.)*"|POLICY)\)\s*\}/g),
	];
	const headers = Object.fromEntries(
		rows.map(([, name, value]) => [literals(name), value === "POLICY" ? policy : literals(value)]),
	);
	if (!headers["Content-Security-Policy"]?.includes("require-trusted-types-for"))
		throw new Error("the header table of server/console could not be read");
	return headers;
}

async function readDist() {
	const files = new Map();
	for (const entry of await readdir(DIST, { recursive: true, withFileTypes: true })) {
		if (!entry.isFile()) continue;
		const path = join(entry.parentPath, entry.name);
		files.set(path.slice(DIST.length + 1), await readFile(path));
	}
	return files;
}

/** Small and seeded: the same figures on each run, so that two pictures can be compared. */
function createRandom(seed) {
	let state = seed;
	return () => {
		state = (state * 1664525 + 1013904223) >>> 0;
		return state / 2 ** 32;
	};
}

const PLUGINS = [
	{ tenant: "shop", id: "order-rules", version: "1.0.0", state: "active", concurrency: "cooperative", instances: 2, share: 0.42, base: 310 },
	{ tenant: "shop", id: "saboteur", version: "1.0.0", state: "active", concurrency: "serial", instances: 1, share: 0.03, base: 900, crashes: 3, denials: 27 },
	{ tenant: "atelier", id: "price-feed", version: "2.4.1", state: "active", concurrency: "cooperative", instances: 1, share: 0.12, base: 1450 },
];

const stamp = (t) => new Date(t * 1000).toISOString().replace("T", " ");
const now = () => Math.floor(Date.now() / 1000);
const sumOf = (values) => values.reduce((a, b) => a + b, 0);

/** What happened in one second, out of nothing. */
function invent(t, state, random) {
	if (state.quiet)
		return {
			requests: { s2xx: 0, s3xx: 0, s4xx: 0, s5xx: 0 },
			latencyUs: { p50: null, p95: null, p99: null },
			denied: 0,
			calls: PLUGINS.map(() => 0),
		};
	const wave = 1 + 0.35 * Math.sin(t / 47) + 0.12 * Math.sin(t / 9) + 0.1 * random();
	const all = Math.round(420 * wave);
	const isBurst = t % 240 > 205 && t % 240 < 221;
	const s5xx = isBurst ? Math.round(4 + random() * 9) : random() < 0.04 ? 1 : 0;
	const s4xx = Math.round(all * (0.03 + 0.02 * random()));
	const s3xx = Math.round(all * 0.05);
	const p50 = 240 + 60 * wave + 30 * random();
	return {
		requests: { s2xx: all - s3xx - s4xx, s3xx, s4xx, s5xx },
		latencyUs: {
			p50,
			p95: p50 * 2.6 + 260 * random(),
			p99: p50 * 5 + (isBurst ? 3800 : 900) * random(),
		},
		denied: isBurst ? Math.round(random() * 3) : 0,
		calls: PLUGINS.map((p) => Math.round(all * p.share * (0.9 + 0.2 * random()))),
	};
}

export async function startMock({ port = 0, token = "first-run-token", isSetUp = false } = {}) {
	const headers = await readHeaders();
	const files = await readDist();
	const random = createRandom(7);
	const startedAt = now() - 3 * 3600 - 754;
	const user = { email: "mei@example.org", password: "correct horse battery" };
	const keyOf = (p) => `${p.tenant}/${p.id}`;
	const counts = new Map(PLUGINS.map((p) => [keyOf(p), { calls: 0, errors: 0, pending: 0 }]));
	const sessions = new Set();
	const streams = new Set();
	let records = 1_204_311;
	/** What a test changes. */
	const state = {
		setUp: isSetUp,
		empty: false,
		quiet: false,
		audit: "ok",
		degraded: [],
		refused: 55,
		states: {},
		mute: false,
		limitSignIn: false,
		fail: "",
		delayMs: 0,
		buildId: "00000000000000a1",
	};

	const plugins = () =>
		(state.empty ? [] : PLUGINS).map(({ share: _share, base, crashes = 0, denials = 0, ...plugin }) => ({
			...plugin,
			state: state.states[plugin.id] ?? plugin.state,
			sha256: createHash("sha256").update(plugin.id).digest("hex"),
			calls: counts.get(keyOf(plugin)).calls,
			errors: counts.get(keyOf(plugin)).errors,
			crashes,
			denials,
			p95Us: Math.round(base * (1.6 + random() * 0.2)),
			rssBytes: 1_900_000 + base * 2_000,
			startedAt: stamp(startedAt + 2),
		}));
	const audit = () => ({ records, lastSealAt: stamp(now() - 4), state: state.audit });
	const processFigures = () => ({
		rssBytes: 46_300_000 + Math.round(random() * 400_000),
		openFiles: 74,
	});

	const seconds = new Map();
	for (let t = now() - 900; t < now(); t++) seconds.set(t, invent(t, state, random));
	for (const figures of seconds.values())
		PLUGINS.forEach((p, i) => (counts.get(keyOf(p)).calls += figures.calls[i]));

	const pass = (t) => {
		const figures = invent(t, state, random);
		PLUGINS.forEach((p, i) => {
			const count = counts.get(keyOf(p));
			figures.calls[i] += count.pending;
			count.calls += figures.calls[i];
			count.pending = 0;
		});
		records += sumOf(figures.calls);
		seconds.set(t, figures);
		seconds.delete(t - 1000);
		if (state.mute) return;
		const tick = {
			t,
			requests: figures.requests,
			latencyUs: figures.latencyUs,
			denied: figures.denied,
			process: processFigures(),
			audit: audit(),
			plugins: plugins().map((p, i) => ({ ...p, callsDelta: figures.calls[i], errorsDelta: 0 })),
		};
		for (const stream of streams)
			stream.write(`event: tick\nid: ${t}\ndata: ${JSON.stringify(tick)}\n\n`);
	};
	// A timer drifts; each second passes once for all that.
	let last = now() - 1;
	const timer = setInterval(() => {
		while (last < now()) pass(++last);
	}, 100);

	const range = (n) => {
		const start = now() - n;
		const rows = Array.from({ length: n }, (_, i) => seconds.get(start + i) ?? null);
		const column = (read) => rows.map((row) => (row ? read(row) : null));
		const group = (names, part) =>
			Object.fromEntries(names.map((name) => [name, column((row) => row[part][name])]));
		return {
			stepS: 1,
			start,
			requests: group(["s2xx", "s3xx", "s4xx", "s5xx"], "requests"),
			latencyUs: group(["p50", "p95", "p99"], "latencyUs"),
			denied: column((row) => row.denied),
			plugins: (state.empty ? [] : PLUGINS).map((p, i) => ({
				tenant: p.tenant,
				id: p.id,
				calls: column((row) => row.calls[i]),
				errors: column(() => 0),
			})),
		};
	};

	const overview = () => ({
		version: "0.1.0",
		startedAt: stamp(startedAt),
		uptimeS: now() - startedAt,
		process: processFigures(),
		sandbox: {
			layers: ["seccomp", "landlock", "namespaces", "cgroup"].filter(
				(layer) => !state.degraded.includes(layer),
			),
			degraded: state.degraded,
			selfTest: { attempts: 55, refused: state.refused },
		},
		tenants: state.empty ? 1 : 2,
		audit: audit(),
		plugins: plugins(),
	});

	const send = (res, status, body, more = {}) => {
		res.writeHead(status, {
			"Content-Type": "application/json",
			"Cache-Control": "no-store",
			...more,
		});
		res.end(body === null ? undefined : JSON.stringify(body));
	};
	const refuse = (res, status, message, code, more) => {
		const traceId = createHash("md5").update(message).digest("hex");
		send(res, status, { status, message, data: {}, code, traceId }, more);
	};
	const readBody = async (req) => {
		let text = "";
		for await (const chunk of req) text += chunk;
		return text ? JSON.parse(text) : {};
	};
	const sessionBody = (id) => ({
		operator: { email: user.email },
		csrf: `csrf-${id}`,
		version: "0.1.0",
		buildId: state.buildId,
	});
	const signIn = (res) => {
		const id = createHash("sha256").update(`${random()}`).digest("hex").slice(0, 32);
		sessions.add(id);
		const cookie = `tenon_session=${id}; HttpOnly; SameSite=Strict; Path=/platform`;
		send(res, 200, sessionBody(id), { "Set-Cookie": cookie });
	};

	/** Routes for anyone, then routes for who is signed in. */
	const open = {
		"GET /platform/setup": (_req, res) => send(res, 200, { needed: !state.setUp }),
		"POST /platform/setup": async (req, res) => {
			const body = await readBody(req);
			if (state.setUp || body.token !== token)
				return refuse(res, 400, "This link has expired or was used before.", "TN1407");
			user.email = body.email;
			user.password = body.password;
			state.setUp = true;
			return signIn(res);
		},
		"POST /platform/signin": async (req, res) => {
			const body = await readBody(req);
			if (state.limitSignIn)
				return refuse(res, 429, "Too many attempts.", "TN1429", { "Retry-After": "20" });
			if (body.email !== user.email || body.password !== user.password)
				return refuse(res, 400, "The email or the password is wrong.", "TN1403");
			return signIn(res);
		},
	};
	const closed = {
		"GET /platform/session": (_req, res, id) => send(res, 200, sessionBody(id)),
		"POST /platform/signout": (req, res, id) => {
			if (req.headers["x-tenon-csrf"] !== `csrf-${id}`)
				return refuse(res, 403, "The request carries no valid token.", "TN1408");
			sessions.delete(id);
			res.writeHead(204);
			return res.end();
		},
		"GET /platform/overview": (_req, res) => send(res, 200, overview()),
		"GET /platform/metrics/range": (_req, res, _id, query) =>
			send(res, 200, range(Math.min(900, Number(query.get("seconds")) || 900))),
		"GET /platform/events": (req, res) => {
			res.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
			res.write(`event: hello\ndata: ${JSON.stringify({ buildId: state.buildId })}\n\n`);
			streams.add(res);
			req.on("close", () => streams.delete(res));
		},
	};

	async function answer(req, res) {
		const url = new URL(req.url, "http://mock");
		const path = url.pathname;
		if (path.startsWith("/platform/")) {
			if (state.delayMs > 0) await new Promise((resolve) => setTimeout(resolve, state.delayMs));
			if (state.fail === path)
				return refuse(res, 500, "The request could not be carried out.", "TN1900");
			const route = `${req.method} ${path}`;
			if (open[route]) return open[route](req, res);
			const id = /tenon_session=(\w+)/.exec(req.headers.cookie ?? "")?.[1];
			if (!sessions.has(id)) return refuse(res, 401, "Sign in first.", "TN1401");
			if (closed[route]) return closed[route](req, res, id, url.searchParams);
			return refuse(res, 404, "There is no such route.", "TN1404");
		}
		const route = /^\/t\/([^/]+)\/api\/x\/([^/]+)\/(.*)/.exec(path);
		if (route) return answerPlugin(res, `${route[1]}/${route[2]}`, route[3]);
		if (!path.startsWith("/_/")) return refuse(res, 404, "There is nothing here.", "TN1404");
		const name = path.slice(3);
		const page = files.get("index.html");
		const body = files.get(name) ?? (name.startsWith("assets/") ? undefined : page);
		if (!body) return refuse(res, 404, "There is no such file.", "TN1404");
		res.writeHead(200, {
			...headers,
			"Content-Type": TYPES[body === page ? ".html" : extname(name)],
			"Cache-Control": body === page ? "no-store" : "public, max-age=31536000, immutable",
		});
		return res.end(body);
	}

	function answerPlugin(res, key, rest) {
		const count = counts.get(key);
		if (!count) return refuse(res, 404, "There is no such plugin.", "TN1404");
		count.pending++;
		if (rest !== "page") return send(res, 200, { plugin: key });
		// What a plugin would send to reach the operator's session, with the walls that the server adds.
		const sandbox = state.noWalls ? {} : { "Content-Security-Policy": "sandbox; default-src 'none'" };
		res.writeHead(200, {
			"Content-Type": "text/html; charset=utf-8",
			"X-Content-Type-Options": "nosniff",
			...sandbox,
		});
		return res.end(
			"<!doctype html><title>hello</title><script>fetch('/platform/plugins', {credentials:'include'})</script>",
		);
	}

	const server = createServer((req, res) => {
		answer(req, res).catch?.((error) => refuse(res, 500, String(error), "TN1900"));
	});
	await new Promise((resolve) => server.listen(port, "127.0.0.1", resolve));
	return {
		base: `http://127.0.0.1:${server.address().port}`,
		token,
		user,
		change: (next) => Object.assign(state, next),
		openStreams: () => streams.size,
		dropStreams: () => streams.forEach((stream) => stream.destroy()),
		endSessions: () => sessions.clear(),
		close: () => {
			clearInterval(timer);
			server.closeAllConnections();
			server.close();
		},
	};
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
	const at = process.argv.indexOf("--port");
	const mock = await startMock({ port: at > 0 ? Number(process.argv[at + 1]) : 8099 });
	console.log(`${mock.base}/_/#setup=${mock.token}`);
}
