import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { StreamEvent } from "./sse";
import { EventStream, type StreamStatus } from "./stream";

/** A server of one connection after the other, driven by the test. */
class FakeServer {
	requests: { headers: Record<string, string>; signal: AbortSignal }[] = [];
	answer: "stream" | "refuse" | number = "stream";
	#controller: ReadableStreamDefaultController<Uint8Array> | null = null;

	fetch = vi.fn(async (_url: string, init: RequestInit) => {
		this.requests.push({
			headers: init.headers as Record<string, string>,
			signal: init.signal as AbortSignal,
		});
		if (this.answer === "refuse") throw new TypeError("refused");
		if (typeof this.answer === "number") return new Response("{}", { status: this.answer });
		const body = new ReadableStream<Uint8Array>({
			start: (controller) => {
				this.#controller = controller;
				init.signal?.addEventListener("abort", () => {
					try {
						controller.error(new DOMException("aborted", "AbortError"));
					} catch {
						// Closed before.
					}
				});
			},
		});
		return new Response(body, { status: 200 });
	});

	async send(text: string) {
		this.#controller?.enqueue(new TextEncoder().encode(text));
		await vi.advanceTimersByTimeAsync(0);
	}

	async end() {
		this.#controller?.close();
		await vi.advanceTimersByTimeAsync(0);
	}
}

let server: FakeServer;
let events: StreamEvent[];
let statuses: StreamStatus[];
let signedOut: number;

function open(): EventStream {
	const stream = new EventStream(
		"/platform/events",
		{
			onEvent: (event) => events.push(event),
			onStatus: (status) => statuses.push(status),
			onSignedOut: () => signedOut++,
		},
		() => 0.5,
	);
	stream.open();
	return stream;
}

const kinds = () => statuses.map((status) => status.kind);

beforeEach(() => {
	vi.useFakeTimers({ now: 1_000_000 });
	server = new FakeServer();
	events = [];
	statuses = [];
	signedOut = 0;
	vi.stubGlobal("fetch", server.fetch);
});

afterEach(() => {
	vi.useRealTimers();
});

describe("EventStream", () => {
	it("is live from the first event on, and reads more than one from a piece", async () => {
		const stream = open();
		await vi.advanceTimersByTimeAsync(0);
		expect(kinds()).toEqual(["connecting"]);
		await server.send("event: hello\ndata: {}\n\nid: 1\nevent: tick\ndata: {}\n\n");
		expect(kinds()).toEqual(["connecting", "live"]);
		expect(events.map((event) => event.event)).toEqual(["hello", "tick"]);
		stream.close();
	});

	it("connects again with the last id, later each time, and at once when asked", async () => {
		const stream = open();
		await server.send("id: 41\ndata: x\n\n");
		server.answer = "refuse";
		await server.end();
		expect(kinds()).toEqual(["connecting", "live", "reconnecting"]);
		await vi.advanceTimersByTimeAsync(499);
		expect(server.requests).toHaveLength(1);
		await vi.advanceTimersByTimeAsync(1);
		expect(server.requests).toHaveLength(2);
		expect(server.requests[1]?.headers["Last-Event-ID"]).toBe("41");
		await vi.advanceTimersByTimeAsync(999);
		expect(server.requests).toHaveLength(2);
		await vi.advanceTimersByTimeAsync(1);
		expect(server.requests).toHaveLength(3);
		server.answer = "stream";
		stream.retryNow();
		await vi.advanceTimersByTimeAsync(0);
		expect(server.requests).toHaveLength(4);
		await server.send("id: 42\ndata: y\n\n");
		expect(stream.status.kind).toBe("live");
		stream.close();
	});

	it("says since when its news is old, and stays with that until there is news", async () => {
		const stream = open();
		await server.send("data: x\n\n");
		const newsAt = Date.now();
		await vi.advanceTimersByTimeAsync(4_999);
		expect(stream.status.kind).toBe("live");
		await vi.advanceTimersByTimeAsync(1);
		expect(stream.status).toEqual({ kind: "stale", lastAtMs: newsAt });
		// A heartbeat is life, and no news.
		await server.send(": heartbeat\n\n");
		expect(stream.status.kind).toBe("stale");
		await server.end();
		expect(stream.status.kind).toBe("stale");
		await vi.advanceTimersByTimeAsync(600);
		await server.send("data: y\n\n");
		expect(stream.status.kind).toBe("live");
		stream.close();
	});

	it("gives up a connection that is silent beyond two heartbeats", async () => {
		const stream = open();
		await server.send("data: x\n\n");
		await vi.advanceTimersByTimeAsync(34_999);
		expect(server.requests).toHaveLength(1);
		await vi.advanceTimersByTimeAsync(1);
		expect(server.requests[0]?.signal.aborted).toBe(true);
		await vi.advanceTimersByTimeAsync(500);
		expect(server.requests).toHaveLength(2);
		stream.close();
	});

	it("leaves a silent connection when asked to, and never a live one", async () => {
		const stream = open();
		await server.send("data: x\n\n");
		stream.retryNow();
		await vi.advanceTimersByTimeAsync(0);
		expect(server.requests).toHaveLength(1);
		await vi.advanceTimersByTimeAsync(5_000);
		expect(stream.status.kind).toBe("stale");
		stream.retryNow();
		await vi.advanceTimersByTimeAsync(0);
		expect(server.requests[0]?.signal.aborted).toBe(true);
		expect(server.requests).toHaveLength(2);
		await vi.advanceTimersByTimeAsync(20_000);
		expect(server.requests).toHaveLength(2);
		stream.close();
	});

	it("a connection that lives on heartbeats is kept", async () => {
		const stream = open();
		await vi.advanceTimersByTimeAsync(0);
		for (let i = 0; i < 10; i++) {
			await vi.advanceTimersByTimeAsync(15_000);
			await server.send(": heartbeat\n\n");
		}
		expect(server.requests).toHaveLength(1);
		stream.close();
	});

	it("ends when the session has ended, and tries no more", async () => {
		server.answer = 401;
		open();
		await vi.advanceTimersByTimeAsync(120_000);
		expect(signedOut).toBe(1);
		expect(server.requests).toHaveLength(1);
		expect(kinds()).toEqual(["connecting", "closed"]);
	});

	it("closed means no request, no event and no status any more", async () => {
		const stream = open();
		await server.send("data: x\n\n");
		stream.close();
		expect(server.requests[0]?.signal.aborted).toBe(true);
		await vi.advanceTimersByTimeAsync(120_000);
		expect(server.requests).toHaveLength(1);
		expect(kinds()).toEqual(["connecting", "live", "closed"]);
		stream.open();
		await vi.advanceTimersByTimeAsync(0);
		expect(server.requests).toHaveLength(2);
		stream.close();
	});
});
