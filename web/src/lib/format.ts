import type { Language } from "../i18n/i18n";

/** Everything that turns a figure of the server into text, in one language and one time zone. */
export interface Format {
	/** 12,345 */
	integer(n: number): string;
	/** 482, 12.3k, 1.2M: at most four figures, for axes and narrow columns. */
	compact(n: number): string;
	/** 482/s, 0.4/s */
	rate(perSecond: number): string;
	/** 0 to 1 as a percentage that never rounds something to nothing: 0.004 % is "<0.01 %". */
	percent(share: number): string;
	/** Microseconds as µs, ms or s with three figures. */
	latency(us: number): string;
	/** The same for the round figures of an axis: 2.5 ms, 0. */
	latencyAxis(us: number): string;
	/** Bytes as KiB, MiB or GiB. */
	bytes(n: number): string;
	/** Seconds as the two largest units: 3 h 12 min. */
	duration(seconds: number): string;
	/** 14:02:11 */
	time(unixSeconds: number): string;
	/** 14:02 */
	minute(unixSeconds: number): string;
	/** The date and the time with the zone, the same in every language: 2026-11-23 14:02:11 UTC. */
	stamp(unixSeconds: number): string;
	/** The zone's short name, as GMT+8. */
	zone: string;
}

export type Clock = "local" | "utc";

const KIB = 1024;

export function createFormat(language: Language, clock: Clock): Format {
	const timeZone = clock === "utc" ? "UTC" : undefined;
	const zoned: Intl.DateTimeFormatOptions = timeZone ? { timeZone } : {};
	const integers = new Intl.NumberFormat(language, { maximumFractionDigits: 0 });
	const digits = [0, 1, 2].map(
		(n) => new Intl.NumberFormat(language, { minimumFractionDigits: n, maximumFractionDigits: n }),
	);
	const toMinute: Intl.DateTimeFormatOptions = {
		...zoned,
		hour: "2-digit",
		minute: "2-digit",
		hourCycle: "h23",
	};
	const times = new Intl.DateTimeFormat(language, { ...toMinute, second: "2-digit" });
	const clock24 = new Intl.DateTimeFormat(language, toMinute);
	// Swedish writes the date as ISO 8601 does; no country reads it as another day.
	const dates = new Intl.DateTimeFormat("sv-SE", zoned);
	const zones = new Intl.DateTimeFormat(language, { ...zoned, timeZoneName: "short" });
	const zoneAt = (t: number) =>
		zones.formatToParts(t * 1000).find((part) => part.type === "timeZoneName")?.value ?? "UTC";
	const units = (unit: string) =>
		new Intl.NumberFormat(language, { style: "unit", unit, unitDisplay: "short" });
	const spans = { day: units("day"), hour: units("hour"), minute: units("minute"), second: units("second") };

	const fixed = (n: number, places: number) => (digits[places] ?? integers).format(n);
	const axis = new Intl.NumberFormat(language, { maximumSignificantDigits: 3 });
	/** Three figures: 1.23, 12.3, 123. */
	const three = (n: number) => fixed(n, n < 9.995 ? 2 : n < 99.95 ? 1 : 0);
	const compact = (n: number) => {
		if (n >= 999_950) return `${fixed(n / 1e6, 1)}M`;
		if (n >= 9_999.5) return `${fixed(n / 1e3, n < 99_950 ? 1 : 0)}k`;
		return integers.format(n);
	};

	return {
		integer: (n) => integers.format(n),
		compact,
		rate: (n) => `${n > 0 && n < 9.95 && !Number.isInteger(n) ? fixed(n, 1) : compact(n)}/s`,
		percent: (share) => {
			const n = share * 100;
			if (n === 0) return `${fixed(0, 0)} %`;
			if (n < 0.01) return `<${fixed(0.01, 2)} %`;
			if (n > 99.99 && n < 100) return `>${fixed(99.99, 2)} %`;
			return `${n >= 99.95 ? fixed(n, n === 100 ? 0 : 2) : n < 9.995 ? fixed(n, 2) : fixed(n, 1)} %`;
		},
		latency: (us) => {
			if (us < 999.5) return `${integers.format(us)} µs`;
			if (us < 999_500) return `${three(us / 1e3)} ms`;
			return `${three(us / 1e6)} s`;
		},
		latencyAxis: (us) => {
			if (us === 0) return axis.format(0);
			if (us < 1000) return `${axis.format(us)} µs`;
			return us < 1e6 ? `${axis.format(us / 1e3)} ms` : `${axis.format(us / 1e6)} s`;
		},
		bytes: (n) => {
			if (n < KIB) return `${integers.format(n)} B`;
			if (n < KIB * KIB) return `${three(n / KIB)} KiB`;
			if (n < KIB * KIB * KIB) return `${three(n / KIB / KIB)} MiB`;
			return `${three(n / KIB / KIB / KIB)} GiB`;
		},
		duration: (seconds) => {
			const s = Math.max(0, Math.floor(seconds));
			const days = Math.floor(s / 86_400);
			const hours = Math.floor(s / 3_600) % 24;
			const minutes = Math.floor(s / 60) % 60;
			const two = (a: string, b: string | false) => (b ? `${a} ${b}` : a);
			if (days > 0) return two(spans.day.format(days), hours > 0 && spans.hour.format(hours));
			if (hours > 0) return two(spans.hour.format(hours), minutes > 0 && spans.minute.format(minutes));
			if (minutes > 0)
				return two(spans.minute.format(minutes), minutes < 10 && s % 60 > 0 && spans.second.format(s % 60));
			return spans.second.format(s);
		},
		time: (t) => times.format(t * 1000),
		minute: (t) => clock24.format(t * 1000),
		stamp: (t) => `${dates.format(t * 1000)} ${times.format(t * 1000)} ${zoneAt(t)}`,
		zone: zoneAt(Date.now() / 1000),
	};
}
