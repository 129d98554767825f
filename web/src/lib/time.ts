/** Seconds since 1970 of a date as the server writes it ("2026-11-23 14:24:25.123Z"), or null. */
export function parseMoment(moment: string | number | null): number | null {
	if (moment === null || moment === "") return null;
	const seconds =
		typeof moment === "number" ? moment : Date.parse(moment.trim().replace(" ", "T")) / 1000;
	return Number.isFinite(seconds) && seconds > 0 ? seconds : null;
}
