import { useQuery, useQueryClient } from "@tanstack/react-query";
import {
	createContext,
	type ReactNode,
	useContext,
	useEffect,
	useEffectEvent,
	useMemo,
	useRef,
	useState,
	useSyncExternalStore,
} from "react";
import { api } from "../api/client";
import type { Overview, Session, Tick } from "../api/schema";
import { createFeed, followVisibility } from "./feed";
import { History, HISTORY_SECONDS, type Window } from "./history";
import { applyTick } from "./overview";
import type { EventStream, StreamStatus } from "./stream";

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
	/** The server's own memory of the last minutes. */
	range: { isPending: boolean; error: unknown; retry(): void };
}

const Context = createContext<Live | null>(null);

const OVERVIEW = ["overview"];
const RANGE = ["range"];

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
	const [frozen, setFrozen] = useState<{
		at: number;
		history: History;
		overview: Overview | undefined;
	} | null>(null);
	const stream = useRef<EventStream>(null);

	const overview = useQuery({ queryKey: OVERVIEW, queryFn: api.overview });
	const range = useQuery({
		queryKey: RANGE,
		queryFn: async ({ signal }) => {
			history.load(await api.range(HISTORY_SECONDS, { signal }));
			return true;
		},
	});

	const onTick = useEffectEvent((tick: Tick) =>
		queries.setQueryData<Overview>(OVERVIEW, (before) => before && applyTick(before, tick)),
	);
	const onReload = useEffectEvent((what: "all" | "history") => {
		if (what === "all") void queries.invalidateQueries({ queryKey: OVERVIEW });
		void queries.invalidateQueries({ queryKey: RANGE });
	});
	const onBuild = useEffectEvent((buildId: string) => setUpgraded(buildId !== session.buildId));
	const onGone = useEffectEvent(() => onSignedOut());

	useEffect(() => {
		const feed = createFeed(history, {
			onTick: (tick) => onTick(tick),
			onReload: (what) => onReload(what),
			onBuild: (buildId) => onBuild(buildId),
			onStatus: setStatus,
			onSignedOut: () => onGone(),
		});
		stream.current = feed;
		const stop = followVisibility(feed);
		return () => {
			stop();
			stream.current = null;
		};
	}, [history]);

	// A part of this page that the server no longer has: it serves another build by now.
	useEffect(() => {
		const onMissing = (event: Event) => {
			event.preventDefault();
			setUpgraded(true);
		};
		window.addEventListener("vite:preloadError", onMissing);
		return () => window.removeEventListener("vite:preloadError", onMissing);
	}, []);

	const { data, error, refetch } = overview;
	const { isPending, error: rangeError, refetch: refetchRange } = range;
	const value = useMemo<Live>(
		() => ({
			status,
			pausedAt: frozen?.at ?? null,
			setPaused: (isPaused) =>
				setFrozen(
					isPaused
						? {
								at: history.end || Math.floor(Date.now() / 1000),
								history: history.copy(),
								overview: data,
							}
						: null,
				),
			retryNow: () => stream.current?.retryNow(),
			isUpgraded,
			history: frozen?.history ?? history,
			overview: { data: frozen?.overview ?? data, error, retry: () => void refetch() },
			range: { isPending, error: rangeError, retry: () => void refetchRange() },
		}),
		[status, frozen, isUpgraded, history, data, error, refetch, isPending, rangeError, refetchRange],
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
