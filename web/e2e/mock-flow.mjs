/**
 * The console against the stand-in server: the flows that the real server is put through as well, and
 * those that need a server which breaks, stalls or lies at the right moment. node e2e/mock-flow.mjs
 */
import { spawn } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { openBrowser, openPage, Report, runAxe, scrollsSideways } from "./browser.mjs";
import { startMock } from "./mock-server.mjs";

const report = new Report();

function run(script, args) {
	return new Promise((resolve) => {
		const child = spawn(process.execPath, [fileURLToPath(new URL(script, import.meta.url)), ...args]);
		let output = "";
		child.stdout.on("data", (data) => (output += data));
		child.stderr.on("data", (data) => (output += data));
		child.on("close", (code) => resolve({ code, output }));
	});
}

async function theRealFlows() {
	const mock = await startMock();
	mock.change({ quiet: true });
	const slice = await run("slice.mjs", [
		...["--base", mock.base],
		...["--setup-token", mock.token],
		...["--plugin-url", `${mock.base}/t/shop/api/x/order-rules/hello`],
		...["--screenshot", join(tmpdir(), "console-slice.png")],
	]);
	report.check("slice.mjs passes", slice.code === 0);
	if (slice.code !== 0) console.log(slice.output);
	const origins = [
		...["--base", mock.base],
		...["--email", mock.user.email],
		...["--password", mock.user.password],
		...["--page", `${mock.base}/t/shop/api/x/saboteur/page`],
	];
	const walled = await run("origins.mjs", origins);
	report.check("origins.mjs passes behind the walls", walled.code === 0);
	if (walled.code !== 0) console.log(walled.output);
	mock.change({ noWalls: true });
	const open = await run("origins.mjs", origins);
	report.check("origins.mjs fails without them", open.code === 1 && open.output.includes("SENT"));
	if (open.code !== 1) console.log(open.output);
	mock.close();
}

async function signIn(page, mock) {
	await page.goto(`${mock.base}/_/`);
	await page.locator("[name=email]").fill(mock.user.email);
	await page.locator("[name=password]").fill(mock.user.password);
	await page.keyboard.press("Enter");
	await page.locator("#safety").waitFor();
}

/** Runs one story on a page of its own, and holds it to the gates that every flow has. */
async function story(browser, name, options, tell) {
	const mock = await startMock({ isSetUp: true });
	const { context, page, faults } = await openPage(browser, mock.base, options);
	page.setDefaultTimeout(15_000);
	try {
		await tell(page, mock);
		report.none(`${name}: no fault`, faults);
	} catch (error) {
		report.check(name, false, String(error));
	}
	await context.close();
	mock.close();
}

const liveKind = (page) => page.locator(".page-tools .live-status").getAttribute("data-kind");

const browser = await openBrowser();

/** A watch that sees nothing would let everything pass: break each rule once, and see it noticed. */
async function theWatchIsAwake() {
	const mock = await startMock({ isSetUp: true });
	const { context, page, faults } = await openPage(browser, mock.base, {});
	await page.goto(`${mock.base}/_/`);
	await page.locator("h1").waitFor();
	await page.evaluate(() => {
		document.body.setAttribute("style", "color: red");
		try {
			document.body.insertAdjacentHTML("beforeend", "<p>markup</p>");
		} catch {
			// As it should be.
		}
		console.error("said on purpose");
		fetch("http://192.0.2.1/").catch(() => {});
	});
	await page.waitForTimeout(300);
	const seen = (part) => faults.some((fault) => fault.includes(part));
	report.check(
		"a style string, markup from a string, an error and a foreign request are noticed",
		seen("policy: style-src") && seen("policy: require-trusted-types-for") && seen("said on purpose") && seen("192.0.2.1"),
		`${faults.length} faults`,
	);
	await context.close();
	mock.close();
}

await theWatchIsAwake();

await story(browser, "a broken stream", {}, async (page, mock) => {
	await signIn(page, mock);
	await page.locator('.page-tools .live-status[data-kind="live"]').waitFor();
	mock.dropStreams();
	await page.locator('.page-tools .live-status[data-kind="reconnecting"]').waitFor();
	await page.locator('.page-tools .live-status[data-kind="live"]').waitFor();
	report.check("a broken stream comes back by itself", mock.openStreams() === 1);
	mock.change({ mute: true });
	await page.locator('.page-tools .live-status[data-kind="stale"]').waitFor();
	const banner = await page.getByRole("status").filter({ hasText: "No connection" }).innerText();
	report.check("silence is said, with the time of the last news", /from \d\d:\d\d:\d\d/.test(banner), banner.split("\n")[0]);
	report.none("axe finds nothing on old news", await runAxe(page));
	report.check("the old figures stay", (await page.getByRole("rowheader").count()) === 3);
	mock.change({ mute: false });
	await page.locator('.page-tools .live-status[data-kind="live"]').waitFor();
	report.check("and the banner goes with the news", (await page.getByText("No connection").count()) === 0);
});

await story(browser, "a session that ends", {}, async (page, mock) => {
	await signIn(page, mock);
	mock.endSessions();
	mock.dropStreams();
	await page.getByText("Your session has ended.").waitFor();
	report.check("a session that ends leads to signing in", true);
});

await story(browser, "too many attempts", {}, async (page, mock) => {
	mock.change({ limitSignIn: true });
	await page.goto(`${mock.base}/_/`);
	await page.locator("[name=email]").fill("mei@example.org");
	await page.locator("[name=password]").fill("guess");
	await page.keyboard.press("Enter");
	await page.getByText("Try again in 19 seconds.").waitFor();
	report.check("too many attempts are counted down", true);
	report.none("axe finds nothing meanwhile", await runAxe(page));
});

await story(browser, "an upgraded server", {}, async (page, mock) => {
	await signIn(page, mock);
	mock.change({ buildId: "00000000000000a2" });
	mock.dropStreams();
	await page.getByText("The server was upgraded while this page was open.").waitFor();
	report.check("an upgraded server is said", true);
});

await story(browser, "a failing part", {}, async (page, mock) => {
	mock.change({ fail: "/platform/metrics/range" });
	await signIn(page, mock);
	await page.locator(".page-tools .live-status[data-kind=live]").waitFor();
	await page.getByRole("heading", { name: "Latency" }).waitFor();
	report.check("without the server's memory the live figures are shown", true);
	mock.change({ fail: "/platform/overview" });
	await page.reload();
	await page.getByRole("alert").waitFor({ timeout: 20_000 });
	const text = await page.getByRole("alert").innerText();
	report.check("a failure shows its code and trace", /TN1900/.test(text) && /[0-9a-f]{32}/.test(text));
	report.none("axe finds nothing on a failure", await runAxe(page));
	mock.change({ fail: "" });
	await page.getByRole("button", { name: "Try again" }).click();
	await page.locator("#safety").waitFor();
	report.check("trying again works", true);
});

await story(browser, "a slow server", {}, async (page, mock) => {
	await signIn(page, mock);
	mock.change({ delayMs: 1_500 });
	await page.reload();
	await page.locator("[aria-busy]").waitFor();
	report.none("axe finds nothing on what is still loading", await runAxe(page));
	await page.locator("#safety").waitFor();
	report.check("a slow server is waited for with the shape of the page", true);
});

await story(browser, "by keyboard", {}, async (page, mock) => {
	await signIn(page, mock);
	await page.evaluate(() => document.activeElement?.blur());
	await page.keyboard.press("Tab");
	const first = await page.evaluate(() => document.activeElement?.textContent);
	report.check("the first stop is the way past the navigation", first === "Skip to content", first ?? "");
	await page.keyboard.press("Enter");
	const focus = await page.evaluate(() => document.activeElement?.id);
	report.check("and it leads to the content", focus === "main", focus ?? "");
	await page.getByRole("group", { name: /^Requests\. / }).focus();
	await page.keyboard.press("ArrowLeft");
	await page.keyboard.press("ArrowLeft");
	await page.locator("[aria-live=polite]").filter({ hasText: "2xx" }).first().waitFor({ state: "attached" });
	report.check("arrow keys read a chart", true);
	const cursors = await page.locator(".chart-time").count();
	report.check("the crosshair is shared by all charts", cursors === 4, `${cursors}`);
	await page.getByRole("button", { name: /^Account and preferences/ }).focus();
	await page.keyboard.press("Enter");
	const panel = page.getByRole("group", { name: /^Account and preferences/ });
	await panel.waitFor();
	report.none("axe finds nothing with the menu open", await runAxe(page));
	await page.keyboard.press("Escape");
	await panel.waitFor({ state: "hidden" });
	const back = await page.evaluate(() => document.activeElement?.getAttribute("aria-label"));
	report.check("Escape closes the menu and gives the focus back", back?.startsWith("Account") === true, back ?? "");
	await page.getByRole("button", { name: "Requests: Show as table" }).press("Enter");
	report.check("a chart is a table as well", (await page.getByRole("region", { name: "Requests, table" }).getByRole("row").count()) > 5);
	report.none("axe finds nothing on the table", await runAxe(page));
});

await story(browser, "links and lists", {}, async (page, mock) => {
	await signIn(page, mock);
	await page.goto(`${mock.base}/_/?range=60&sort=calls&order=desc&nonsense=1`);
	await page.locator("#safety").waitFor();
	report.check("the address holds the range", await page.getByRole("radio", { name: "1 min" }).isChecked());
	report.check("and the order", (await page.getByRole("columnheader", { name: "Calls", exact: true }).getAttribute("aria-sort")) === "descending");
	await page.getByLabel("Filter by name or tenant").fill("price");
	report.check("the filter cuts the list", (await page.getByRole("rowheader").count()) === 1);
	await page.getByLabel("Filter by name or tenant").fill("nothing");
	await page.getByRole("button", { name: "Clear filters" }).click();
	report.check("and can be cleared", (await page.getByRole("rowheader").count()) === 3);
	await page.getByRole("button", { name: "Pause" }).click();
	const before = await page.getByRole("rowheader").first().locator("xpath=..").innerText();
	await page.waitForTimeout(2_200);
	const after = await page.getByRole("rowheader").first().locator("xpath=..").innerText();
	report.check("paused figures stand still", before === after && (await liveKind(page)) === "paused");
});

await story(browser, "hidden", {}, async (page, mock) => {
	await signIn(page, mock);
	await page.locator(".page-tools .live-status[data-kind=live]").waitFor();
	const setHidden = (isHidden) =>
		page.evaluate((value) => {
			Object.defineProperty(document, "hidden", { configurable: true, value });
			document.dispatchEvent(new Event("visibilitychange"));
		}, isHidden);
	await setHidden(true);
	await page.waitForTimeout(300);
	report.check("a hidden tab holds no stream", mock.openStreams() === 0, `${mock.openStreams()}`);
	await setHidden(false);
	await page.locator('.page-tools .live-status[data-kind="live"]').waitFor();
	report.check("a tab that is seen again holds one", mock.openStreams() === 1, `${mock.openStreams()}`);
});

await story(browser, "narrow", { width: 320, height: 640 }, async (page, mock) => {
	await signIn(page, mock);
	await page.getByRole("button", { name: "Open navigation" }).click();
	await page.getByRole("dialog").waitFor();
	report.none("axe finds nothing on the drawer", await runAxe(page));
	await page.getByRole("dialog").getByRole("link", { name: "Plugins" }).click();
	await page.getByRole("dialog").waitFor({ state: "hidden" });
	report.check("the drawer leads to a section and closes", page.url().endsWith("#plugins"));
	report.check("nothing is wider than 320 px", !(await scrollsSideways(page)));
});

const TROUBLE = { audit: "broken", degraded: ["cgroup"], refused: 53, states: { saboteur: "quarantined", "price-feed": "backing_off" } };
for (const scheme of ["light", "dark"])
	for (const locale of ["en-GB", "zh-CN"])
		for (const width of [1360, 320])
			await story(browser, `${scheme} ${locale} ${width}`, { scheme, locale, width }, async (page, mock) => {
				mock.change(TROUBLE);
				await page.goto(`${mock.base}/_/`);
				await page.locator("h1").waitFor();
				report.none(`${scheme} ${locale} ${width}: axe finds nothing on signing in`, await runAxe(page));
				await signIn(page, mock);
				await page.waitForTimeout(1_100);
				report.none(`${scheme} ${locale} ${width}: axe finds nothing in trouble`, await runAxe(page));
				report.check(`${scheme} ${locale} ${width}: nothing is too wide`, !(await scrollsSideways(page)));
			});
await browser.close();

await theRealFlows();
report.finish();
