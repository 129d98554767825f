import * as v from "valibot";
import { Hello, Tick } from "../api/schema";
import type { History } from "./history";
import type { StreamEvent } from "./sse";
import { EventStream, type StreamStatus } from "./stream";

export interface FeedHooks {
	onTick(tick: Tick): void;
	/** What was read apart from the stream may be out of date. */
	onReload(what: "all" | "history"): void;
	onBuild(buildId: string): void;
	onStatus(status: StreamStatus): void;
	onSignedOut(): void;
}

/** How many of the last seconds are looked at for holes, and how often one is asked for at most. */
const HOLE_SECONDS = 30;
const HEAL_MS = 5_000;

function parseData<S extends v.GenericSchema>(schema: S, event: StreamEvent): v.InferOutput<S> | null {
	try {
		const parsed = v.safeParse(schema, JSON.parse(event.data));
		return parsed.success ? parsed.output : null;
	} catch {
		return null;
	}
}

/** Turns the events of the stream into history and news. What it cannot read, it leaves out. */
export function createFeed(history: History, hooks: FeedHooks): EventStream {
	let hellos = 0;
	let healedAtMs = 0;
	let healedHole = 0;

	const onTick = (tick: Tick) => {
		history.push(tick);
		hooks.onTick(tick);
		// A second can fall between the stream and what was read beside it. The server remembers it;
		// one that it lacks as well is not asked for again.
		const hole = history.lastHole(HOLE_SECONDS);
		if (hole > healedHole && Date.now() - healedAtMs > HEAL_MS) {
			healedHole = hole;
			healedAtMs = Date.now();
			hooks.onReload("history");
		}
	};
	const onEvent = (event: StreamEvent) => {
		if (event.event === "tick") {
			const tick = parseData(Tick, event);
			if (tick) onTick(tick);
		} else if (event.event === "hello") {
			const hello = parseData(Hello, event);
			if (hello) hooks.onBuild(hello.buildId);
			// Seconds may have passed between two connections.
			if (hellos++ > 0) hooks.onReload("all");
		} else if (event.event === "reset") {
			hooks.onReload("all");
		}
	};
	return new EventStream("/platform/events", {
		onEvent,
		onStatus: hooks.onStatus,
		onSignedOut: hooks.onSignedOut,
	});
}

/** One stream for a tab that is seen, none for one that is not: a browser allows six connections. */
export function followVisibility(stream: EventStream): () => void {
	const follow = () => (document.hidden ? stream.close() : stream.open());
	const retry = () => stream.retryNow();
	follow();
	document.addEventListener("visibilitychange", follow);
	window.addEventListener("online", retry);
	return () => {
		document.removeEventListener("visibilitychange", follow);
		window.removeEventListener("online", retry);
		stream.close();
	};
}
