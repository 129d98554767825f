import type { Key } from "../i18n/i18n";

/** What the server asks of a password too; more than this is for the operator to judge. */
export const PASSWORD_MIN = 10;

/** Catches slips of the finger; whether the address exists only a mail can tell. */
export function checkEmail(email: string): Key | undefined {
	if (!email) return "field.required";
	return /^[^\s@]+@[^\s@]+$/.test(email) ? undefined : "field.email";
}

/** How many characters a new password lacks, as people count them. */
export function missingCharacters(password: string): number {
	return Math.max(0, PASSWORD_MIN - [...password].length);
}

/** The one-time token of the setup link, which stands behind the # so that no server log holds it. */
export function readSetupToken(hash: string): string | null {
	const token = new URLSearchParams(hash.replace(/^#/, "")).get("setup");
	return token && token.length <= 256 ? token : null;
}
