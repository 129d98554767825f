import { act, render, screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { App } from "./App";
import { sampleOverview, samplePlugin, sampleRange, sampleTick } from "./testing/samples";

const SESSION = { operator: { email: "mei@example.org" }, csrf: "c", version: "0.1.0", buildId: "b1" };

interface Answer {
	status?: number;
	body?: unknown;
	headers?: Record<string, string>;
}

/** What each route answers; a test changes it. */
let routes: Record<string, Answer>;
let sent: { route: string; body: unknown; headers: Record<string, string> }[];
let stream: ReadableStreamDefaultController<Uint8Array> | null;

async function answer(path: string, init: RequestInit = {}): Promise<Response> {
	const route = `${init.method ?? "GET"} ${path.split("?")[0]}`;
	sent.push({
		route,
		body: typeof init.body === "string" ? JSON.parse(init.body) : null,
		headers: init.headers as Record<string, string>,
	});
	if (route === "GET /platform/events")
		return new Response(
			new ReadableStream<Uint8Array>({
				start(controller) {
					stream = controller;
				},
			}),
		);
	const { status = 200, body = null, headers = {} } = routes[route] ?? { status: 404 };
	return new Response(status === 204 ? null : JSON.stringify(body), { status, headers });
}

function refusal(status: number, message: string): Answer {
	return { status, body: { status, message, data: {}, code: "TN1403", traceId: "ab12" } };
}

async function tell(event: string, data: unknown) {
	await act(async () => {
		stream?.enqueue(new TextEncoder().encode(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`));
		await new Promise((resolve) => setTimeout(resolve, 5));
	});
}

beforeEach(() => {
	sent = [];
	stream = null;
	routes = {
		"GET /platform/session": refusal(401, "Sign in first."),
		"GET /platform/setup": { body: { needed: false } },
		"POST /platform/signin": { body: SESSION },
		"POST /platform/setup": { body: SESSION },
		"POST /platform/signout": { status: 204 },
		"GET /platform/overview": { body: sampleOverview() },
		"GET /platform/metrics/range": { body: sampleRange(1000, 900) },
	};
	vi.stubGlobal("fetch", vi.fn(answer));
	history.replaceState(null, "", "/_/");
});

async function fill(email: string, password: string, button: string) {
	const user = userEvent.setup();
	if (email) await user.type(await screen.findByLabelText("Email"), email);
	if (password) await user.type(screen.getByLabelText("Password"), password);
	await user.click(screen.getByRole("button", { name: button }));
}

describe("signing in", () => {
	it("shows what the server says, and goes on when it agrees", async () => {
		routes["POST /platform/signin"] = refusal(400, "The email or the password is wrong.");
		render(<App />);
		await fill("mei@example.org", "wrong", "Sign in");
		expect((await screen.findByRole("alert")).textContent).toContain("The email or the password is wrong.");
		routes["POST /platform/signin"] = { body: SESSION };
		await fill("", "", "Sign in");
		expect(await screen.findByRole("heading", { level: 1, name: "Overview" })).toBeDefined();
	});

	it("counts a 429 down and sends nothing meanwhile", async () => {
		routes["POST /platform/signin"] = { ...refusal(429, "Too many."), headers: { "Retry-After": "20" } };
		render(<App />);
		await fill("mei@example.org", "guess", "Sign in");
		expect((await screen.findByRole("alert")).textContent).toContain("Try again in 20 seconds.");
		const before = sent.length;
		await fill("", "", "Sign in");
		expect(sent).toHaveLength(before);
	});

	it("asks for what is missing before it asks the server", async () => {
		render(<App />);
		await fill("mei", "", "Sign in");
		expect(screen.getByText("This does not look like an email address.")).toBeDefined();
		expect(screen.getByText("This is required.")).toBeDefined();
		expect(document.activeElement).toBe(screen.getByLabelText("Email"));
		expect(sent.some((one) => one.route === "POST /platform/signin")).toBe(false);
	});
});

describe("setting up", () => {
	it("sends the link's token with the new password, then takes it out of the address", async () => {
		routes["GET /platform/setup"] = { body: { needed: true } };
		history.replaceState(null, "", "/_/#setup=once-only");
		render(<App />);
		await fill("mei@example.org", "short", "Create account and sign in");
		expect(screen.getByText("5 more characters are needed.")).toBeDefined();
		await fill("", " and long", "Create account and sign in");
		await screen.findByRole("heading", { level: 1, name: "Overview" });
		expect(sent.find((one) => one.route === "POST /platform/setup")?.body).toEqual({
			token: "once-only",
			email: "mei@example.org",
			password: "short and long",
		});
		expect(location.hash).toBe("");
	});

	it("without the link says where to find it", async () => {
		routes["GET /platform/setup"] = { body: { needed: true } };
		render(<App />);
		expect(await screen.findByRole("heading", { name: "This server waits for its operator" })).toBeDefined();
		expect(screen.queryByLabelText("Password")).toBeNull();
	});

	it("with a link to a server that is set up leads to signing in", async () => {
		history.replaceState(null, "", "/_/#setup=used");
		render(<App />);
		expect((await screen.findByRole("status")).textContent).toContain("already set up");
	});
});

describe("the overview", () => {
	beforeEach(() => {
		routes["GET /platform/session"] = { body: SESSION };
	});

	const rowOf = async (name: string) => screen.findByRole("row", { name: new RegExp(name) });

	it("moves a plugin's count with each tick", async () => {
		vi.stubGlobal("matchMedia", () => ({ matches: false, addEventListener() {}, removeEventListener() {} }));
		render(<App />);
		expect(within(await rowOf("order-rules")).getByText("10")).toBeDefined();
		await tell("hello", { buildId: "b1" });
		await tell("tick", sampleTick(1900, { plugins: [{ ...samplePlugin({ calls: 25 }), callsDelta: 15, errorsDelta: 0 }] }));
		expect(within(await rowOf("order-rules")).getByText("25")).toBeDefined();
		expect(screen.getAllByText("Live").length).toBeGreaterThan(0);
	});

	it("stands still while paused, and catches up after", async () => {
		const user = userEvent.setup();
		vi.stubGlobal("matchMedia", () => ({ matches: false, addEventListener() {}, removeEventListener() {} }));
		render(<App />);
		await rowOf("order-rules");
		await tell("tick", sampleTick(1900));
		await user.click(screen.getByRole("button", { name: "Pause" }));
		await tell("tick", sampleTick(1901, { plugins: [{ ...samplePlugin({ calls: 99 }), callsDelta: 1, errorsDelta: 0 }] }));
		expect(within(await rowOf("order-rules")).queryByText("99")).toBeNull();
		expect(screen.getAllByText(/^Paused at/).length).toBeGreaterThan(0);
		await user.click(screen.getByRole("button", { name: "Resume" }));
		expect(within(await rowOf("order-rules")).getByText("99")).toBeDefined();
	});

	it("says what needs the operator", async () => {
		routes["GET /platform/overview"] = { body: sampleOverview({ audit: { records: 1, lastSealAt: null, state: "broken" } }) };
		render(<App />);
		const list = await screen.findByRole("region", { name: "Needs attention" });
		expect(list.textContent).toContain("The audit chain is broken. Find the first bad record with tenon audit verify.");
	});

	it("with no plugin says what to do", async () => {
		routes["GET /platform/overview"] = { body: sampleOverview({ plugins: [] }) };
		render(<App />);
		expect(await screen.findByText("No plugin is deployed yet")).toBeDefined();
		expect(screen.getByText("tenon plugin deploy FILE --tenant T --wait")).toBeDefined();
	});

	it("a failure shows code and trace, and trying again works", async () => {
		routes["GET /platform/overview"] = refusal(403, "Not yours to see.");
		render(<App />);
		const alert = await screen.findByRole("alert");
		expect(alert.textContent).toContain("Not yours to see.");
		expect(alert.textContent).toContain("Code TN1403");
		expect(alert.textContent).toContain("Trace ab12");
		routes["GET /platform/overview"] = { body: sampleOverview() };
		await userEvent.setup().click(within(alert).getByRole("button", { name: "Try again" }));
		expect((await screen.findAllByText("order-rules")).length).toBeGreaterThan(0);
	});

	it("reads the server's memory again after a reset", async () => {
		render(<App />);
		await screen.findAllByText("order-rules");
		const count = () => sent.filter((one) => one.route === "GET /platform/metrics/range").length;
		const before = count();
		await tell("reset", {});
		expect(count()).toBe(before + 1);
	});

	it("offers to reload when the server is of another build", async () => {
		render(<App />);
		await screen.findAllByText("order-rules");
		await tell("hello", { buildId: "b2" });
		expect(screen.getByText("The server was upgraded while this page was open.")).toBeDefined();
	});

	it("signs out with the session's token, and then asks to sign in", async () => {
		const user = userEvent.setup();
		render(<App />);
		await screen.findAllByText("order-rules");
		await user.click(screen.getByRole("button", { name: /Account and preferences/ }));
		await user.click(await screen.findByRole("button", { name: "Sign out" }));
		expect(await screen.findByText("You are signed out.")).toBeDefined();
		expect(sent.find((one) => one.route === "POST /platform/signout")?.headers["X-Tenon-CSRF"]).toBe("c");
	});
});
