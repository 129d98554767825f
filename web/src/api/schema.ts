import * as v from "valibot";

/**
 * The shapes that the server answers with. What is not named here is dropped, so that a newer server
 * may say more; what is missing or of another type is refused, so that no page shows `undefined`.
 */
const count = v.pipe(v.number(), v.finite(), v.minValue(0));
const orNull = <T extends v.GenericSchema>(schema: T) => v.optional(v.nullable(schema), null);

/** A date as records write it, or seconds since 1970; null for "not yet". */
const moment = orNull(v.union([v.string(), v.number()]));

export const Session = v.object({
	operator: v.object({ email: v.string() }),
	csrf: v.string(),
	version: v.string(),
	buildId: v.string(),
});
export type Session = v.InferOutput<typeof Session>;

export const Setup = v.object({ needed: v.boolean() });

export const PLUGIN_STATES = [
	"active",
	"starting",
	"draining",
	"backing_off",
	"quarantined",
	"disabled",
] as const;
export type PluginState = (typeof PLUGIN_STATES)[number];

const pluginEntries = {
	tenant: v.string(),
	id: v.string(),
	version: v.string(),
	sha256: v.string(),
	state: v.picklist(PLUGIN_STATES),
	concurrency: v.picklist(["serial", "cooperative"]),
	instances: count,
	calls: count,
	errors: count,
	crashes: count,
	denials: count,
	p95Us: orNull(count),
	rssBytes: orNull(count),
	startedAt: moment,
};
export const Plugin = v.object(pluginEntries);
export type Plugin = v.InferOutput<typeof Plugin>;

const Process = v.object({ rssBytes: count, openFiles: count });
const Audit = v.object({
	records: count,
	lastSealAt: moment,
	state: v.picklist(["ok", "broken", "full"]),
});
const Sandbox = v.object({
	layers: v.array(v.string()),
	degraded: v.array(v.string()),
	selfTest: orNull(v.object({ attempts: count, refused: count })),
});

export const Overview = v.object({
	version: v.string(),
	startedAt: moment,
	uptimeS: count,
	process: Process,
	sandbox: Sandbox,
	tenants: count,
	audit: Audit,
	plugins: v.array(Plugin),
});
export type Overview = v.InferOutput<typeof Overview>;

const column = v.array(v.nullable(count));
export const Range = v.object({
	stepS: v.literal(1),
	start: count,
	requests: v.object({ s2xx: column, s3xx: column, s4xx: column, s5xx: column }),
	latencyUs: v.object({ p50: column, p95: column, p99: column }),
	denied: column,
	plugins: v.array(v.object({ tenant: v.string(), id: v.string(), calls: column, errors: column })),
});
export type Range = v.InferOutput<typeof Range>;

export const Hello = v.object({ buildId: v.string() });

export const Tick = v.object({
	t: v.pipe(count, v.integer()),
	requests: v.object({ s2xx: count, s3xx: count, s4xx: count, s5xx: count }),
	latencyUs: v.object({ p50: orNull(count), p95: orNull(count), p99: orNull(count) }),
	denied: count,
	process: Process,
	audit: Audit,
	plugins: v.array(v.object({ ...pluginEntries, callsDelta: count, errorsDelta: count })),
});
export type Tick = v.InferOutput<typeof Tick>;

export const ErrorBody = v.object({
	status: v.optional(v.number()),
	message: v.string(),
	data: v.optional(v.record(v.string(), v.object({ code: v.string(), message: v.string() })), {}),
	code: v.optional(v.string(), ""),
	traceId: v.optional(v.string(), ""),
});

/** One plugin of one tenant; ids of different tenants may be the same. */
export function pluginKey(plugin: { tenant: string; id: string }): string {
	return `${plugin.tenant}/${plugin.id}`;
}
