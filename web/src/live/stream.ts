import { SseParser, type StreamEvent } from "./sse";

/**
 * The console's one event stream. The browser's EventSource hides why a connection failed and how
 * long it has been silent, and both decide what an operator is told; so this reads the stream itself.
 *
 *   connecting ──▶ live ──silence──▶ stale ──event──▶ live
 *       ▲            │                 │
 *       └─ backoff ◀─┴──── broken ─────┘          closed from anywhere, by close()
 */
export type StreamStatus =
	| { kind: "closed" }
	| { kind: "connecting" }
	| { kind: "live" }
	/** Not connected; tries again by itself. */
	| { kind: "reconnecting"; attempt: number }
	/** Connected or not, what is shown is old. lastAtMs is 0 when nothing ever came. */
	| { kind: "stale"; lastAtMs: number };

export interface StreamHooks {
	onEvent(event: StreamEvent): void;
	onStatus(status: StreamStatus): void;
	/** The server says that the session is over; the stream is closed. */
	onSignedOut(): void;
}

/** The server speaks each second; five seconds of silence is old news. */
const STALE_MS = 5_000;
/** Two heartbeats and a little: a connection that says nothing for so long is dead. */
const DEAD_MS = 35_000;
const BACKOFF_MS = [500, 1_000, 2_000, 4_000, 8_000, 15_000];

export class EventStream {
	readonly #url: string;
	readonly #hooks: StreamHooks;
	readonly #random: () => number;
	readonly #parser = new SseParser();
	#abort: AbortController | null = null;
	#retry: ReturnType<typeof setTimeout> | undefined;
	#stale: ReturnType<typeof setTimeout> | undefined;
	#dead: ReturnType<typeof setTimeout> | undefined;
	#attempt = 0;
	#lastAtMs = 0;
	#status: StreamStatus = { kind: "closed" };

	constructor(url: string, hooks: StreamHooks, random: () => number = Math.random) {
		this.#url = url;
		this.#hooks = hooks;
		this.#random = random;
	}

	get status(): StreamStatus {
		return this.#status;
	}

	/** Does nothing while open. */
	open(): void {
		if (this.#status.kind !== "closed") return;
		this.#attempt = 0;
		this.#set({ kind: "connecting" });
		this.#expectEvent();
		void this.#connect();
	}

	close(): void {
		this.#drop();
		clearTimeout(this.#stale);
		clearTimeout(this.#retry);
		if (this.#status.kind !== "closed") this.#set({ kind: "closed" });
	}

	/** Connects at once: instead of after the wait, and in place of a connection that is silent. */
	retryNow(): void {
		if (this.#status.kind === "closed" || this.#status.kind === "live") return;
		this.#drop();
		clearTimeout(this.#retry);
		this.#attempt = 0;
		void this.#connect();
	}

	#set(status: StreamStatus): void {
		this.#status = status;
		this.#hooks.onStatus(status);
	}

	#drop(): void {
		clearTimeout(this.#dead);
		this.#abort?.abort();
		this.#abort = null;
	}

	async #connect(): Promise<void> {
		const abort = new AbortController();
		this.#abort = abort;
		this.#parser.reset();
		this.#expectBytes(abort);
		try {
			const headers: Record<string, string> = { Accept: "text/event-stream" };
			if (this.#parser.lastId) headers["Last-Event-ID"] = this.#parser.lastId;
			const response = await fetch(this.#url, {
				headers,
				credentials: "same-origin",
				cache: "no-store",
				signal: abort.signal,
			});
			if (this.#abort !== abort) return;
			if (response.status === 401) {
				this.close();
				this.#hooks.onSignedOut();
				return;
			}
			if (response.ok && response.body) await this.#read(response.body, abort);
		} catch {
			// Broken or refused: what follows is the same as for an end.
		}
		if (this.#abort === abort) this.#reconnectLater();
	}

	async #read(body: ReadableStream<Uint8Array>, abort: AbortController): Promise<void> {
		const reader = body.getReader();
		const decoder = new TextDecoder();
		for (;;) {
			const { done, value } = await reader.read();
			if (done || this.#abort !== abort) return;
			this.#expectBytes(abort);
			for (const event of this.#parser.push(decoder.decode(value, { stream: true }))) {
				this.#arrived();
				this.#hooks.onEvent(event);
				if (this.#abort !== abort) return;
			}
		}
	}

	#arrived(): void {
		this.#attempt = 0;
		this.#lastAtMs = Date.now();
		this.#expectEvent();
		if (this.#status.kind !== "live") this.#set({ kind: "live" });
	}

	#expectEvent(): void {
		clearTimeout(this.#stale);
		this.#stale = setTimeout(
			() => this.#set({ kind: "stale", lastAtMs: this.#lastAtMs }),
			STALE_MS,
		);
	}

	#expectBytes(abort: AbortController): void {
		clearTimeout(this.#dead);
		this.#dead = setTimeout(() => {
			if (this.#abort !== abort) return;
			abort.abort();
			this.#reconnectLater();
		}, DEAD_MS);
	}

	#reconnectLater(): void {
		this.#drop();
		const base = BACKOFF_MS[Math.min(this.#attempt, BACKOFF_MS.length - 1)] ?? 0;
		this.#attempt++;
		// Staleness outlasts an attempt: the word changes back only when news arrives.
		if (this.#status.kind !== "stale") this.#set({ kind: "reconnecting", attempt: this.#attempt });
		// A fifth more or less, so that the tabs of a restarted server do not come all at once.
		const wait = base * (0.8 + 0.4 * this.#random());
		this.#retry = setTimeout(() => void this.#connect(), wait);
	}
}
