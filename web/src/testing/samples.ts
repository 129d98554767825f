import type { Overview, Plugin, Range, Tick } from "../api/schema";

export function samplePlugin(change: Partial<Plugin> = {}): Plugin {
	return {
		tenant: "shop",
		id: "order-rules",
		version: "1.0.0",
		sha256: "ab".repeat(32),
		state: "active",
		concurrency: "cooperative",
		instances: 1,
		calls: 10,
		errors: 0,
		crashes: 0,
		denials: 0,
		p95Us: 800,
		rssBytes: 1_900_000,
		startedAt: "2026-11-23 14:00:00.000Z",
		...change,
	};
}

export function sampleOverview(change: Partial<Overview> = {}): Overview {
	return {
		version: "0.1.0",
		startedAt: "2026-11-23 14:00:00.000Z",
		uptimeS: 60,
		process: { rssBytes: 40_000_000, openFiles: 70 },
		sandbox: {
			layers: ["seccomp", "landlock", "namespaces", "cgroup"],
			degraded: [],
			selfTest: { attempts: 55, refused: 55 },
		},
		tenants: 1,
		audit: { records: 1234, lastSealAt: "2026-11-23 14:00:59.000Z", state: "ok" },
		plugins: [samplePlugin()],
		...change,
	};
}

export function sampleTick(t: number, change: Partial<Tick> = {}): Tick {
	return {
		t,
		requests: { s2xx: 10, s3xx: 0, s4xx: 1, s5xx: 0 },
		latencyUs: { p50: 300, p95: 800, p99: 1500 },
		denied: 0,
		process: { rssBytes: 41_000_000, openFiles: 71 },
		audit: { records: 1240, lastSealAt: null, state: "ok" },
		plugins: [{ ...samplePlugin(), callsDelta: 4, errorsDelta: 0 }],
		...change,
	};
}

export function sampleRange(start: number, length: number, s2xx: number | null = 5): Range {
	const column = Array.from({ length }, () => s2xx);
	const none = Array.from({ length }, () => (s2xx === null ? null : 0));
	return {
		stepS: 1,
		start,
		requests: { s2xx: column, s3xx: none, s4xx: none, s5xx: none },
		latencyUs: { p50: column, p95: column, p99: column },
		denied: none,
		plugins: [{ tenant: "shop", id: "order-rules", calls: column, errors: none }],
	};
}
