/**
 * known.mjs - where PocketBase 0.22, which npm has, differs from the API that Tenon follows (0.23 and later), and why.
 *
 * Each entry rewrites PocketBase's answer as a current one would be, and says whether it had to. An answer is
 * [status, codes of fields or record]. docs/pocketbase.md lists the reasons in the same words.
 */
const renamed = { validation_invalid_email: "validation_is_email", validation_invalid_url: "validation_is_url", validation_no_decimal_constraint: "validation_only_int_constraint" };

const rewrites = [
	{
		reason: "0.22 has other codes for an address, a link and a whole number that is none",
		rewrite(what, tenon, pocketbase) {
			let changed = false;
			if (pocketbase[0] !== 400) return false;
			for (const [field, code] of Object.entries(pocketbase[1] ?? {}))
				if (renamed[code]) {
					pocketbase[1][field] = renamed[code];
					changed = true;
				}
			return changed;
		},
	},
	{
		reason: "0.22 looks at a new record's id before all other fields, with codes of its own",
		rewrite(what, tenon, pocketbase) {
			const code = pocketbase[1]?.id;
			if (what.method !== "POST" || pocketbase[0] !== 400 || tenon[0] !== 400) return false;
			if (code !== "validation_length_invalid" && code !== "validation_invalid_id") return false;
			pocketbase[1] = tenon[1];
			return true;
		},
	},
	{
		reason: "0.22 takes capital letters in an id; since 0.23 its pattern is ^[a-z0-9]+$",
		rewrite(what, tenon, pocketbase) {
			if (what.method !== "POST" || !/[A-Z]/.test(what.body.id) || tenon[1]?.id !== "validation_invalid_format") return false;
			if (pocketbase[0] === 400) pocketbase[1] = Object.fromEntries(Object.entries({ ...pocketbase[1], id: "validation_invalid_format" }).sort());
			else pocketbase.splice(0, 2, 400, { id: "validation_invalid_format" });
			return true;
		},
	},
	{
		reason: "0.22 compares a JSON value and the text of several related records without the column's type: false is not its 0",
		rewrite(what, tenon, pocketbase) {
			if (!/tags\.name \S+ meta|meta(\.a)? \S+ tags\.name/.test(what.question?.filter ?? "") || tenon[0] !== 200) return false;
			if (pocketbase[0] !== 200 || Math.abs(tenon[1] - pocketbase[1]) > 50) return false;
			pocketbase.splice(0, 3, ...tenon);
			return true;
		},
	},
];

/** The reasons that explain a difference; none when something is left. */
export function known(what, tenon, pocketbase) {
	const theirs = structuredClone(pocketbase);
	const reasons = rewrites.filter((one) => one.rewrite(what, tenon, theirs)).map((one) => one.reason);
	return JSON.stringify(tenon) === JSON.stringify(theirs) ? reasons : [];
}
