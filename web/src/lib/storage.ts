/** What this browser remembers for the console. A browser that forbids it forgets, and that is all. */
const PREFIX = "tenon.";

export function recall(name: string): string | null {
	try {
		return localStorage.getItem(PREFIX + name);
	} catch {
		return null;
	}
}

export function remember(name: string, value: string): void {
	try {
		localStorage.setItem(PREFIX + name, value);
	} catch {
		// Forbidden or full: the choice holds until the page is closed.
	}
}
