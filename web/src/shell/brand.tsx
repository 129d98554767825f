/** A tenon in its mortise: the tongue of one piece of wood in the slot of another. */
export function Mark({ size = 26 }: { size?: number }) {
	return (
		<svg className="mark" width={size} height={size} viewBox="0 0 32 32" aria-hidden>
			<rect width="32" height="32" rx="7" fill="var(--accent)" />
			<path fill="var(--accent-ink)" d="M7 8h18v5.5h-6V24h-6V13.5H7z" />
		</svg>
	);
}

export function Brand() {
	return (
		<span className="brand">
			<Mark />
			<span className="brand-name" translate="no">
				{"Tenon"}
			</span>
		</span>
	);
}
