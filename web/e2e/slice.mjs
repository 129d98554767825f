/**
 * The console against a real server: opens the one-time link, makes the operator, sees the plugins, and
 * watches a plugin's call count follow calls that are made outside of the browser.
 *
 *   node web/e2e/slice.mjs --base http://127.0.0.1:8090 --setup-token T --plugin-url URL --screenshot FILE
 *     [--plugin-header 'Authorization: ...'] [--calls 25] [--email E] [--password P]
 *
 * A line for each claim, then PASS or FAIL; the exit status is 0 or 1, and 2 for wrong usage.
 */
import { openBrowser, openPage, readArguments, Report, runAxe, scrollsSideways } from "./browser.mjs";

const args = readArguments(
	["base", "setup-token", "plugin-url", "screenshot"],
	["plugin-header", "calls", "email", "password"],
);
const base = args.base.replace(/\/$/, "");
const calls = Number(args.calls ?? 25);
const email = args.email ?? "operator@example.org";
const password = args.password ?? "a long enough password";
const pluginUrl = new URL(args["plugin-url"], base);
const tenant = /^\/t\/([^/]+)\//.exec(pluginUrl.pathname)?.[1] ?? "default";
const plugin = /\/api\/x\/([^/]+)/.exec(pluginUrl.pathname)?.[1];
if (!plugin || !(calls > 0)) {
	console.error("--plugin-url has no /api/x/PLUGIN/ in it, or --calls is no number");
	process.exit(2);
}

const report = new Report();
const browser = await openBrowser();

/** Calls the plugin from outside of the browser, and counts the answers that are not faults. */
async function callPlugin() {
	const [name, ...value] = (args["plugin-header"] ?? "").split(":");
	const headers = name ? { [name.trim()]: value.join(":").trim() } : {};
	const statuses = await Promise.all(
		Array.from({ length: calls }, () =>
			fetch(pluginUrl, { headers }).then(
				async (response) => {
					await response.arrayBuffer();
					return response.status;
				},
				() => 0,
			),
		),
	);
	return statuses.filter((status) => status >= 200 && status < 300).length;
}

try {
	const { context, page, faults } = await openPage(browser, base, {});
	page.setDefaultTimeout(15_000);
	const requests = [];
	page.on("request", (request) => requests.push(new URL(request.url()).pathname));

	/** Reads a figure of the plugin's row by the name of its column. */
	const readFigure = async (column) => {
		const table = page.getByRole("table", { name: "Plugins of all tenants" });
		const headers = await table.getByRole("columnheader").allInnerTexts();
		const at = headers.findIndex((text) => text.trim() === column);
		const name = new RegExp(`^${plugin}\\s+${tenant}\\s`);
		const row = table.getByRole("row").filter({ has: page.getByRole("rowheader", { name }) });
		const text = await row.locator("th, td").nth(at).innerText();
		return Number(text.replaceAll(",", ""));
	};

	// The one-time link.
	await page.goto(`${base}/_/#setup=${args["setup-token"]}`);
	await page.getByRole("heading", { name: "Set up this server" }).waitFor();
	report.check("the one-time link opens the set-up", true);
	report.none("axe finds nothing on the set-up", await runAxe(page));
	await page.getByRole("textbox", { name: "Email" }).fill(email);
	await page.getByLabel("Password", { exact: true }).fill("too short");
	await page.getByRole("button", { name: "Create account and sign in" }).click();
	report.check(
		"a password of 9 characters is refused before it is sent",
		(await page.getByText("1 more character is needed.").count()) === 1 &&
			requests.filter((path) => path === "/platform/setup").length === 1,
	);
	await page.getByLabel("Password", { exact: true }).fill(password);
	await page.getByRole("button", { name: "Create account and sign in" }).click();
	await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
	report.check("the new operator sees the overview", true);
	report.check("the spent token is out of the address", !page.url().includes("setup"));

	const cookie = (await context.cookies(`${base}/platform/session`)).find((one) => one.name === "tenon_session");
	report.check(
		"the session cookie is HttpOnly and SameSite=Strict",
		cookie?.httpOnly === true && cookie?.sameSite === "Strict",
	);
	const readable = await page.evaluate(() => document.cookie);
	report.check("script sees no cookie", readable === "", readable);

	// The plugins, and a call count that moves.
	await page.getByRole("table", { name: "Plugins of all tenants" }).waitFor();
	await page.locator('.page-tools .live-status[data-kind="live"]').waitFor();
	report.check("the page is live", true);
	const before = await readFigure("Calls");
	report.check(`${plugin} is in the list`, Number.isFinite(before), `${before} calls`);
	const answered = await callPlugin();
	report.check(`${calls} calls from outside are answered`, answered === calls, `${answered}`);
	let after = before;
	const until = Date.now() + 10_000;
	while (after < before + calls && Date.now() < until) {
		await page.waitForTimeout(200);
		after = await readFigure("Calls");
	}
	report.check(`its call count moved by them`, after >= before + calls, `${before} to ${after}`);
	report.none("axe finds nothing on the overview", await runAxe(page));
	report.check("nothing is wider than the window", !(await scrollsSideways(page)));
	await page.waitForTimeout(1_500);
	await page.screenshot({ path: args.screenshot, fullPage: true });

	// Dark and Chinese, by the menu and by keyboard.
	await page.getByRole("button", { name: /^Account and preferences/ }).focus();
	await page.keyboard.press("Enter");
	await page.getByRole("radio", { name: "Dark" }).check();
	await page.getByRole("radio", { name: "简体中文" }).check();
	await page.keyboard.press("Escape");
	await page.getByRole("heading", { level: 1, name: "概览" }).waitFor();
	const shown = await page.evaluate(() => ({ lang: document.documentElement.lang, theme: document.documentElement.dataset.theme }));
	report.check("language and theme follow the menu", shown.lang === "zh-CN" && shown.theme === "dark");
	report.none("axe finds nothing in dark and Chinese", await runAxe(page));

	// A second visit, and the way out and in again.
	requests.length = 0;
	await page.reload();
	await page.getByRole("heading", { level: 1, name: "概览" }).waitFor();
	await page.locator("#safety").waitFor();
	const own = requests.filter((path) => path.startsWith("/_/"));
	report.check("the session outlives a reload", true);
	report.check("the first view asks for at most 8 files", own.length <= 8, `${own.length}`);
	await page.getByRole("button", { name: /^账户与偏好/ }).click();
	await page.getByRole("button", { name: "退出登录" }).click();
	await page.getByRole("heading", { name: "登录" }).waitFor();
	report.check("signing out leads to signing in", true);
	const status = await page.evaluate(async () => (await fetch("/platform/overview")).status);
	report.check("and the server knows it", status === 401, `${status}`);
	await page.getByRole("radio", { name: "English" }).check({ force: true });
	await page.getByRole("textbox", { name: "Email" }).fill(email);
	await page.getByLabel("Password", { exact: true }).fill("not the password");
	await page.getByRole("button", { name: "Sign in" }).click();
	const refusal = await page.getByRole("alert").innerText();
	await page.getByRole("textbox", { name: "Email" }).fill("nobody@example.org");
	await page.getByRole("button", { name: "Sign in" }).click();
	await page.getByRole("button", { name: "Sign in" }).waitFor();
	report.check("a wrong password and an unknown user read the same", (await page.getByRole("alert").innerText()) === refusal, refusal);
	await page.getByRole("textbox", { name: "Email" }).fill(email);
	await page.getByLabel("Password", { exact: true }).fill(password);
	await page.keyboard.press("Enter");
	await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
	report.check("the password signs in", true);

	// The link is spent, and the walls stand.
	await page.goto(`${base}/_/nothing/here`);
	await page.getByRole("heading", { name: "There is no such page" }).waitFor();
	report.check("an unknown console path says so", true);
	const setup = await (await fetch(`${base}/platform/setup`)).json();
	report.check("the server needs no set-up any more", setup.needed === false);
	const again = await fetch(`${base}/platform/setup`, {
		method: "POST",
		headers: { "Content-Type": "application/json", Origin: base },
		body: JSON.stringify({ token: args["setup-token"], email: "eve@example.org", password }),
	});
	report.check("the one-time link works once", again.status >= 400 && again.status < 500, `${again.status}`);
	const index = await fetch(`${base}/_/`);
	const policy = index.headers.get("content-security-policy") ?? "";
	report.check(
		"the page's policy is the strict one",
		policy.startsWith("default-src 'none'") && policy.includes("require-trusted-types-for 'script'") && !policy.includes("unsafe"),
	);
	report.check("the page is never stored", index.headers.get("cache-control") === "no-store");
	const missing = await fetch(`${base}/_/assets/nothing-00000000.js`);
	report.check("a missing asset is 404", missing.status === 404, `${missing.status}`);

	report.none("no policy violation, no console error, no request off the origin", faults);
	await context.close();
} catch (error) {
	report.check("the flow runs to its end", false, String(error));
} finally {
	await browser.close();
}
report.finish();
