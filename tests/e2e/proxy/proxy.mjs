/**
 * proxy.mjs - the SDK in Chromium, on a page of another origin, against Tenon behind nginx with TLS.
 *
 *   node proxy.mjs --app https://localhost:1 --api https://localhost:2/t/shop --email E --password P
 *
 * Prints a line for each claim; exits 0 when all hold. Lives beside web/, whose browser.mjs it uses.
 */
import { openBrowser, readArguments, Report } from "../../../web/e2e/browser.mjs";

const args = readArguments(["app", "api", "email", "password"]);
const report = new Report();
const browser = await openBrowser();
try {
	const context = await browser.newContext({ ignoreHTTPSErrors: true });
	const page = await context.newPage();
	const requests = [];
	page.on("request", (request) => requests.push(`${request.method()} ${new URL(request.url()).origin}`));
	await page.goto(`${args.app}/index.html`);
	report.check("the page is of another origin", new URL(page.url()).origin !== new URL(args.api).origin, `${new URL(page.url()).origin}`);
	const seen = await page.evaluate(
		async ({ api, email, password }) => {
			const { default: PocketBase } = await import("./pocketbase.es.mjs");
			const pb = new PocketBase(api);
			pb.autoCancellation(false);
			const result = { events: [] };
			result.health = (await pb.health.check()).code;
			result.user = (await pb.collection("users").authWithPassword(email, password)).record.email;
			let arrived;
			const both = new Promise((done) => (arrived = done));
			await pb.collection("notes").subscribe("*", (event) => {
				result.events.push(`${event.action} ${event.record.text}`);
				if (result.events.length === 2) arrived();
			});
			const bytes = new Uint8Array(300000).map((_, n) => n % 251);
			const form = new FormData();
			form.append("text", "uploaded");
			form.append("paper", new File([bytes], "paper.bin"));
			const note = await pb.collection("notes").create(form);
			result.name = note.paper;
			const back = new Uint8Array(await (await fetch(pb.files.getURL(note, note.paper))).arrayBuffer());
			result.same = back.length === bytes.length && back.every((byte, n) => byte === bytes[n]);
			await pb.collection("notes").update(note.id, { text: "changed" });
			await Promise.race([both, new Promise((done) => setTimeout(done, 5000))]);
			await pb.realtime.unsubscribe();
			result.list = (await pb.collection("notes").getList(1, 5, { sort: "-text" })).items.map((one) => one.text);
			const answer = await fetch(`${api}/api/health`, { headers: { "X-Forwarded-For": "203.0.113.7" } }).catch((error) => error.name);
			result.forged = typeof answer === "string" ? answer : answer.status;
			return result;
		},
		{ api: args.api, email: args.email, password: args.password },
	);
	const is = (claim, expected, value) => report.check(claim, JSON.stringify(expected) === JSON.stringify(value), JSON.stringify(value));
	is("health answers", 200, seen.health);
	is("a user signs in", args.email, seen.user);
	report.check("a file of 300,000 bytes is uploaded", /^paper_[a-z0-9]{10}\.bin$/.test(seen.name), seen.name);
	is("and read back as it was", true, seen.same);
	is("events come in their order", ["create uploaded", "update changed"], seen.events);
	is("a list", ["changed"], seen.list);
	report.check("the requests went over the proxy", requests.some((one) => one.endsWith(new URL(args.api).origin)), `${requests.length} requests`);
	await context.close();
} catch (error) {
	report.check("the flow runs to its end", false, String(error));
} finally {
	await browser.close();
}
report.finish();
