/**
 * known.mjs - where PocketBase 0.22, which npm has, differs from the API that Tenon follows (0.23 and later), and why.
 *
 * Each entry looks at what was asked and at both answers, and gives its reason or nothing. docs/pocketbase.md lists them.
 */
const reasons = [];

/** The reason for a difference, or undefined. */
export function known(what, tenon, pocketbase) {
	for (const [reason, applies] of reasons) if (applies(what, tenon, pocketbase)) return reason;
	return undefined;
}
