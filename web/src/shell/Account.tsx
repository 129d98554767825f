import { ChevronsUpDown, LogOut } from "lucide-react";
import { type KeyboardEvent, type ReactNode, useEffect, useId, useRef, useState } from "react";
import type { Session } from "../api/schema";
import { LANGUAGES } from "../i18n/i18n";
import { createFormat } from "../lib/format";
import { type Theme, usePreferences } from "../lib/preferences";

interface ChoicesProps<T extends string> {
	label: string;
	value: T;
	onChange(value: T): void;
	options: readonly { value: T; label: ReactNode }[];
}

function Choices<T extends string>({ label, value, onChange, options }: ChoicesProps<T>) {
	const name = useId();
	return (
		<fieldset className="menu-choices">
			<legend className="menu-label">{label}</legend>
			{options.map((option) => (
				<label className="menu-item" key={option.value}>
					<input
						type="radio"
						name={name}
						checked={option.value === value}
						onChange={() => onChange(option.value)}
					/>
					{option.label}
				</label>
			))}
		</fieldset>
	);
}

/** Who is signed in, and behind the name: how the console looks and speaks, and the way out. */
export function Account({ session, onSignOut }: { session: Session; onSignOut(): void }) {
	const { t } = usePreferences();
	const [isOpen, setOpen] = useState(false);
	const root = useRef<HTMLDivElement>(null);
	const trigger = useRef<HTMLButtonElement>(null);
	const id = useId();
	const { email } = session.operator;

	useEffect(() => {
		if (!isOpen) return;
		const onPointer = (event: PointerEvent) => {
			if (!root.current?.contains(event.target as Node)) setOpen(false);
		};
		document.addEventListener("pointerdown", onPointer);
		return () => document.removeEventListener("pointerdown", onPointer);
	}, [isOpen]);

	const onKeyDown = (event: KeyboardEvent) => {
		if (event.key !== "Escape" || !isOpen) return;
		// Only this layer: the drawer around it stays.
		event.stopPropagation();
		setOpen(false);
		trigger.current?.focus();
	};

	return (
		<div className="account" ref={root} onKeyDown={onKeyDown} role="presentation">
			<button
				type="button"
				className="account-trigger"
				aria-expanded={isOpen}
				aria-controls={id}
				aria-label={`${t("account.label")}, ${email}`}
				onClick={() => setOpen(!isOpen)}
				ref={trigger}
			>
				<span className="account-badge" aria-hidden>
					{email.slice(0, 1)}
				</span>
				<span className="account-text">
					<span>{email}</span>
					<span className="account-version">{`${t("app.name")} ${session.version}`}</span>
				</span>
				<ChevronsUpDown size={14} aria-hidden className="muted" />
			</button>
			<div className="menu" id={id} role="group" aria-label={t("account.label")} hidden={!isOpen}>
				{isOpen && <Panel email={email} onSignOut={onSignOut} />}
			</div>
		</div>
	);
}

function Panel({ email, onSignOut }: { email: string; onSignOut(): void }) {
	const { t, theme, setTheme, language, setLanguage, clock, setClock } = usePreferences();
	const themes: Theme[] = ["system", "light", "dark"];
	const { zone } = createFormat(language, "local");
	return (
		<>
			<p className="menu-who">
				<span className="muted">{t("account.signedInAs")}</span>
				<br />
				{email}
			</p>
			<Choices
				label={t("pref.theme")}
				value={theme}
				onChange={setTheme}
				options={themes.map((value) => ({ value, label: t(`pref.theme.${value}`) }))}
			/>
			<Choices
				label={t("pref.language")}
				value={language}
				onChange={setLanguage}
				options={LANGUAGES.map(({ id, name }) => ({ value: id, label: <span lang={id}>{name}</span> }))}
			/>
			<Choices
				label={t("pref.time")}
				value={clock}
				onChange={setClock}
				options={[
					{ value: "local", label: t("pref.time.local", { zone }) },
					{ value: "utc", label: t("pref.time.utc") },
				]}
			/>
			<button type="button" className="menu-item menu-out" onClick={onSignOut}>
				<LogOut size={14} aria-hidden />
				{t("account.signOut")}
			</button>
		</>
	);
}
