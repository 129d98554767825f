import { useQuery, useQueryClient } from "@tanstack/react-query";
import { createContext, type ReactNode, useContext, useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";
import * as v from "valibot";
import { api } from "../api/client";
import { Hello, type Overview, type Session, Tick } from "../api/schema";
import { History, HISTORY_SECONDS, type Window } from "./history";
import { applyTick } from "./overview";
import { EventStream, type StreamStatus } from "./stream";
import type { StreamEvent } from "./sse";

interface Live {
	status: StreamStatus;
	/** When the figures on the page stopped, in seconds; null while they move. */
	pausedAt: number | null;
	setPaused(isPaused: boolean): void;
	retryNow(): void;
	/** The server is of another build than this page. */
	isUpgraded: boolean;
	/** What pages draw: the live history, or the copy of the moment of pausing. */
	history: History;
	overview: { data: Overview | undefined; error: unknown; retry(): void };
	/** True until the server's own memory has been read, or reading it has failed. */
	isHistoryLoading: boolean;
	historyError: unknown;
}

const Context = createContext<Live | null>(null);

const OVERVIEW = ["overview"];
const RANGE = ["range"];
const HEAL_MS = 10_000;

function parseData<S extends v.GenericSchema>(schema: S, event: StreamEvent): v.InferOutput<S> | null {
	try {
		const parsed = v.safeParse(schema, JSON.parse(event.data));
		return parsed.success ? parsed.output : null;
	} catch {
		return null;
	}
}

interface Props {
	session: Session;
	onSignedOut(): void;
	children: ReactNode;
}

/** Holds the console's one stream, and what comes out of it, for the pages below. */
export function LiveProvider({ session, onSignedOut, children }: Props) {
	const queries = useQueryClient();
	const [history] = useState(() => new History());
	const [status, setStatus] = useState<StreamStatus>({ kind: "connecting" });
	const [isUpgraded, setUpgraded] = useState(false);
	const [frozen, setFrozen] = useState<{ at: number; history: History; overview: Overview | undefined } | null>(null);

	const overview = useQuery({ queryKey: OVERVIEW, queryFn: api.overview });
	const range = useQuery({
		queryKey: RANGE,
		queryFn: async ({ signal }) => {
			history.load(await api.range(HISTORY_SECONDS, { signal }));
			return true;
		},
	});

	const signedOut = useRef(onSignedOut);
	useEffect(() => {
		signedOut.current = onSignedOut;
	});

	const stream = useMemo(() => {
		let hellos = 0;
		let healedAtMs = 0;
		const reload = () => {
			void queries.invalidateQueries({ queryKey: OVERVIEW });
			void queries.invalidateQueries({ queryKey: RANGE });
		};
		const onEvent = (event: StreamEvent) => {
			if (event.event === "tick") {
				const tick = parseData(Tick, event);
				if (!tick) return;
				// Seconds fell between two connections, or between the stream and what was read before
				// it. The server remembers them; one that it lacks as well is not asked for again.
				const hasGap = !history.isEmpty && tick.t > history.end + 1;
				history.push(tick);
				if (hasGap && Date.now() - healedAtMs > HEAL_MS) {
					healedAtMs = Date.now();
					void queries.invalidateQueries({ queryKey: RANGE });
				}
				queries.setQueryData<Overview>(OVERVIEW, (before) => before && applyTick(before, tick));
			} else if (event.event === "hello") {
				const hello = parseData(Hello, event);
				if (hello) setUpgraded(hello.buildId !== session.buildId);
				// Seconds may have passed between two connections.
				if (hellos++ > 0) reload();
			} else if (event.event === "reset") {
				reload();
			}
		};
		return new EventStream("/platform/events", { onEvent, onStatus: setStatus, onSignedOut: () => signedOut.current() });
	}, [history, queries, session.buildId]);

	// One stream for a tab that is seen, none for one that is not: browsers allow six connections.
	useEffect(() => {
		const follow = () => (document.hidden ? stream.close() : stream.open());
		const retry = () => stream.retryNow();
		const upgraded = (event: Event) => {
			event.preventDefault();
			setUpgraded(true);
		};
		follow();
		document.addEventListener("visibilitychange", follow);
		window.addEventListener("online", retry);
		window.addEventListener("vite:preloadError", upgraded);
		return () => {
			document.removeEventListener("visibilitychange", follow);
			window.removeEventListener("online", retry);
			window.removeEventListener("vite:preloadError", upgraded);
			stream.close();
		};
	}, [stream]);

	const { data, error, refetch } = overview;
	const value = useMemo<Live>(
		() => ({
			status,
			pausedAt: frozen?.at ?? null,
			setPaused: (isPaused) =>
				setFrozen(
					isPaused
						? { at: history.end || Math.floor(Date.now() / 1000), history: history.copy(), overview: data }
						: null,
				),
			retryNow: () => stream.retryNow(),
			isUpgraded,
			history: frozen?.history ?? history,
			overview: { data: frozen?.overview ?? data, error, retry: () => void refetch() },
			isHistoryLoading: range.isPending,
			historyError: range.error,
		}),
		[status, frozen, isUpgraded, history, data, error, refetch, range.isPending, range.error, stream],
	);
	return <Context value={value}>{children}</Context>;
}

export function useLive(): Live {
	const value = useContext(Context);
	if (!value) throw new Error("no LiveProvider above");
	return value;
}

/** The last seconds of the history, anew with each second. */
export function useWindow(seconds: number): Window {
	const { history } = useLive();
	const version = useSyncExternalStore(history.subscribe, history.version);
	// The version stands for the history's content, which changes in place.
	// oxlint-disable-next-line react-hooks/exhaustive-deps
	return useMemo(() => history.window(seconds), [history, version, seconds]);
}
