/**
 * A page that a plugin wrote, opened in the browser of a signed-in operator, reaches no /platform route
 * with the operator's session.
 *
 *   node web/e2e/origins.mjs --page URL --base http://127.0.0.1:8090 --email E --password P
 *
 * Looks at what Chromium sent, as the debugger tells it, and not at what the page says of itself. The
 * same look is first taken at the console's own request, which does carry the session, and at last at
 * the plugin's page with the server's policy taken off, which does reach the route: so a blind eye and a
 * page that does not even try would both be noticed. Exits 0 when nothing got through, else 1.
 */
import { openBrowser, readArguments, Report } from "./browser.mjs";

const args = readArguments(["page", "base", "email", "password"]);
const base = args.base.replace(/\/$/, "");
const report = new Report();
const browser = await openBrowser();

/** Keeps every request of a page with the headers that went over the wire. */
async function watch(page) {
	const session = await page.context().newCDPSession(page);
	const seen = new Map();
	const at = (id) => {
		if (!seen.has(id)) seen.set(id, { url: "", cookie: null, status: 0, error: "" });
		return seen.get(id);
	};
	await session.send("Network.enable");
	session.on("Network.requestWillBeSent", (event) => (at(event.requestId).url = event.request.url));
	session.on("Network.requestWillBeSentExtraInfo", (event) => {
		const name = Object.keys(event.headers).find((key) => key.toLowerCase() === "cookie");
		at(event.requestId).cookie = name ? event.headers[name] : "";
	});
	session.on("Network.responseReceived", (event) => (at(event.requestId).status = event.response.status));
	session.on("Network.loadingFailed", (event) => (at(event.requestId).error = event.blockedReason ?? event.errorText));
	return () => [...seen.values()].filter((one) => one.url);
}

const isPlatform = (one) => new URL(one.url).pathname.startsWith("/platform");
const hasSession = (one) => /(^|;\s*)tenon_session=/.test(one.cookie ?? "");

try {
	const context = await browser.newContext({ locale: "en-GB" });
	const console_ = await context.newPage();
	const consoleRequests = await watch(console_);
	await console_.goto(`${base}/_/`);
	await console_.getByRole("textbox", { name: "Email" }).fill(args.email);
	await console_.getByLabel("Password", { exact: true }).fill(args.password);
	await console_.keyboard.press("Enter");
	await console_.getByRole("heading", { level: 1, name: "Overview" }).waitFor({ timeout: 15_000 });
	await console_.waitForTimeout(500);
	const own = consoleRequests().filter((one) => isPlatform(one) && hasSession(one));
	report.check("the operator is signed in, and the session is seen on the wire", own.length > 0, `${own.length} requests`);

	const page = await context.newPage();
	const requests = await watch(page);
	const messages = [];
	page.on("console", (message) => messages.push(message.text()));
	const response = await page.goto(args.page);
	await page.waitForTimeout(2_500);

	const policy = response?.headers()["content-security-policy"] ?? "";
	const isOwnOrigin = new URL(args.page).origin === new URL(base).origin;
	report.check("the plugin's page was opened", response?.status() === 200, `${response?.status()}`);
	if (isOwnOrigin)
		report.check("on the console's origin it is sandboxed", policy.includes("sandbox"), policy || "no policy");
	const origin = await page.evaluate(() => self.origin).catch(() => "unknown");
	console.log(`note  the page's origin is ${origin}`);

	const tried = requests().filter(isPlatform);
	for (const one of tried)
		console.log(`note  ${new URL(one.url).pathname}: cookie ${hasSession(one) ? "SENT" : "absent"}, status ${one.status}, ${one.error || "not blocked"}`);
	for (const text of messages) console.log(`note  the browser says: ${text}`);
	report.check("no /platform request of the page carries the session", !tried.some(hasSession), `${tried.length} tried`);
	report.check(
		"no /platform request of the page is answered as signed in",
		!tried.some((one) => one.status >= 200 && one.status < 400),
	);
	report.check("the browser refused to run the page's script", messages.some((text) => /script/i.test(text) && /sandbox|security policy/i.test(text)));

	const naked = await context.newPage();
	const nakedRequests = await watch(naked);
	await naked.route(args.page, async (route) => {
		const answer = await route.fetch();
		const headers = { ...answer.headers() };
		delete headers["content-security-policy"];
		await route.fulfill({ response: answer, headers });
	});
	await naked.goto(args.page);
	await naked.waitForTimeout(1_000);
	const reached = nakedRequests().filter((one) => isPlatform(one) && hasSession(one) && one.status === 200);
	report.check("without that policy the same page reaches /platform as the operator", reached.length > 0, `${reached.length} requests`);

	const first = requests().find((one) => one.url === page.url());
	if (isOwnOrigin && first && hasSession(first))
		console.log("note  the request for the page itself carries the session cookie: give it Path=/platform");
	await context.close();
} catch (error) {
	report.check("the flow runs to its end", false, String(error));
} finally {
	await browser.close();
}
report.finish();
