import { useEffect, useState } from "react";

export function useMediaQuery(query: string): boolean {
	const [matches, setMatches] = useState(() => matchMedia(query).matches);
	useEffect(() => {
		const list = matchMedia(query);
		const follow = () => setMatches(list.matches);
		follow();
		list.addEventListener("change", follow);
		return () => list.removeEventListener("change", follow);
	}, [query]);
	return matches;
}

/** False for the first moments, so that what comes at once is not preceded by a flash of grey. */
export function useIsLate(delayMs = 150): boolean {
	const [isLate, setLate] = useState(false);
	useEffect(() => {
		const timer = setTimeout(() => setLate(true), delayMs);
		return () => clearTimeout(timer);
	}, [delayMs]);
	return isLate;
}

/** The document's title, with the product's name behind it. */
export function useTitle(title: string): void {
	useEffect(() => {
		document.title = `${title} · Tenon`;
	}, [title]);
}
