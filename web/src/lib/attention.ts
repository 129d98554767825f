import { pluginKey, type Overview } from "../api/schema";
import type { Key, Params } from "../i18n/i18n";
import type { Window } from "../live/history";
import { add, sum } from "./stats";

export interface Attention {
	/** Stays the same while the matter does. */
	id: string;
	level: "bad" | "warn";
	message: Key;
	params: Params;
	/** A share of one, to be shown as a percentage under the name {share}. */
	share?: number;
	/** A command to run on the server, shown under the name {command}. */
	command?: string;
	/** The section of the overview that says more. */
	section: "traffic" | "plugins" | "safety" | null;
}

/** Below this many requests a share of errors says nothing. */
const ENOUGH_REQUESTS = 20;
const ERROR_SHARE = 0.01;
/** A plugin that probes its walls is refused now and then; so many a minute is a story. */
const DENIED_PER_MINUTE = 10;

/**
 * What an operator has to look at, the worst first. minute is the last minute of the history.
 * Pure: the same figures give the same list.
 */
export function findAttention(
	overview: Overview,
	minute: Window,
	connection: { isPlainHttp: boolean },
): Attention[] {
	const found: Attention[] = [];
	const add1 = (item: Omit<Attention, "params"> & { params?: Params }) =>
		found.push({ params: {}, ...item });

	const { audit, sandbox } = overview;
	if (audit.state === "broken")
		add1({
			id: "audit",
			level: "bad",
			message: "attention.auditBroken",
			command: "tenon audit verify",
			section: "safety",
		});
	if (audit.state === "full")
		add1({ id: "audit", level: "bad", message: "attention.auditFull", section: "safety" });

	const test = sandbox.selfTest;
	if (test && test.refused < test.attempts)
		add1({
			id: "selfTest",
			level: "bad",
			message: "attention.selfTest",
			params: { attempts: test.attempts, failed: test.attempts - test.refused },
			section: "safety",
		});
	if (sandbox.degraded.length > 0)
		add1({
			id: "degraded",
			level: "warn",
			message: "attention.degraded",
			params: { layers: sandbox.degraded.join(", ") },
			command: "tenon doctor",
			section: "safety",
		});

	for (const plugin of overview.plugins) {
		const params = { plugin: pluginKey(plugin) };
		const id = `plugin ${params.plugin}`;
		if (plugin.state === "quarantined")
			add1({ id, level: "bad", message: "attention.quarantined", params, section: "plugins" });
		if (plugin.state === "backing_off")
			add1({ id, level: "warn", message: "attention.backingOff", params, section: "plugins" });
	}

	const failed = sum(minute.series("s5xx"));
	const all = sum(
		add([minute.series("s2xx"), minute.series("s3xx"), minute.series("s4xx"), minute.series("s5xx")]),
	);
	if (all >= ENOUGH_REQUESTS && failed / all >= ERROR_SHARE)
		add1({
			id: "errors",
			level: "warn",
			message: "attention.errors",
			share: failed / all,
			section: "traffic",
		});
	const denied = sum(minute.series("denied"));
	if (denied >= DENIED_PER_MINUTE)
		add1({
			id: "denied",
			level: "warn",
			message: "attention.denied",
			params: { count: denied },
			section: "plugins",
		});
	if (connection.isPlainHttp)
		add1({ id: "http", level: "warn", message: "attention.plainHttp", section: null });

	return found.sort((a, b) => Number(a.level === "warn") - Number(b.level === "warn"));
}

/** Unencrypted, and not to this very machine. */
export function isPlainHttp(location: { protocol: string; hostname: string }): boolean {
	const isLoopback =
		location.hostname === "localhost" ||
		location.hostname.endsWith(".localhost") ||
		location.hostname === "[::1]" ||
		/^127\.\d+\.\d+\.\d+$/.test(location.hostname);
	return location.protocol === "http:" && !isLoopback;
}

export function needsAttention(plugin: {
	state: string;
	crashes: number;
	errors: number;
	denials: number;
}): boolean {
	return (
		plugin.state === "quarantined" ||
		plugin.state === "backing_off" ||
		plugin.crashes > 0 ||
		plugin.denials > 0
	);
}
