import { type Overview, type Plugin, pluginKey, type Tick } from "../api/schema";
import { parseMoment } from "../lib/time";

/** The overview, one second later. A tick names every plugin, so one that it does not name is gone. */
export function applyTick(before: Overview, tick: Tick): Overview {
	const startedAt = parseMoment(before.startedAt);
	return {
		...before,
		uptimeS: startedAt === null ? before.uptimeS + 1 : Math.max(0, tick.t - startedAt),
		process: tick.process,
		audit: tick.audit,
		plugins: tick.plugins.map(({ callsDelta: _calls, errorsDelta: _errors, ...plugin }) => plugin),
	};
}

export const PLUGIN_COLUMNS = ["plugin", "state", "rate", "calls", "errors", "p95", "memory", "crashes", "denials"] as const;
export type PluginColumn = (typeof PLUGIN_COLUMNS)[number];

export interface PluginView {
	text: string;
	attentionOnly: boolean;
	sort: PluginColumn;
	isDescending: boolean;
}

/** A row of the plugin list: the plugin, and its calls per second of late. */
export interface PluginRow {
	key: string;
	plugin: Plugin;
	rate: number;
}

/** The worse a state, the further to the front. */
const STATE_ORDER = ["quarantined", "backing_off", "starting", "draining", "active", "disabled"];

const ORDER: Record<PluginColumn, (row: PluginRow) => number | string> = {
	plugin: (row) => row.plugin.id,
	state: (row) => STATE_ORDER.indexOf(row.plugin.state),
	rate: (row) => row.rate,
	calls: (row) => row.plugin.calls,
	errors: (row) => row.plugin.errors,
	p95: (row) => row.plugin.p95Us ?? -1,
	memory: (row) => row.plugin.rssBytes ?? -1,
	crashes: (row) => row.plugin.crashes,
	denials: (row) => row.plugin.denials,
};

/** Filters and sorts. Rows that are equal keep the order of their keys, so that none jumps about. */
export function arrange(
	rows: readonly PluginRow[],
	view: PluginView,
	needsAttention: (plugin: Plugin) => boolean,
): PluginRow[] {
	const wanted = view.text.trim().toLowerCase();
	const value = ORDER[view.sort];
	const sign = view.isDescending ? -1 : 1;
	return rows
		.filter((row) => !wanted || row.key.toLowerCase().includes(wanted))
		.filter((row) => !view.attentionOnly || needsAttention(row.plugin))
		.sort((a, b) => {
			const [x, y] = [value(a), value(b)];
			if (x !== y) return x < y ? -sign : sign;
			return a.key < b.key ? -1 : 1;
		});
}

export function toRows(plugins: readonly Plugin[], rate: (key: string) => number): PluginRow[] {
	return plugins.map((plugin) => {
		const key = pluginKey(plugin);
		return { key, plugin, rate: rate(key) };
	});
}
