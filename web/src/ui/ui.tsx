import { Check, CircleAlert, CircleCheck, CircleDashed, CircleSlash, Copy, Eye, EyeOff, LoaderCircle, OctagonX, TriangleAlert } from "lucide-react";
import { type ComponentProps, type ReactNode, useEffect, useId, useRef, useState } from "react";
import { ApiError } from "../api/client";
import type { PluginState } from "../api/schema";
import { usePreferences } from "../lib/preferences";
import "./ui.css";

type Look = "normal" | "primary" | "quiet";

interface ButtonProps extends ComponentProps<"button"> {
	look?: Look;
	size?: "normal" | "small" | "icon";
	/** Stays focusable and says that it is busy, instead of vanishing from the keyboard's path. */
	isDisabled?: boolean;
}

export function Button({ look = "normal", size = "normal", isDisabled, className, onClick, ...rest }: ButtonProps) {
	const names = ["button", look !== "normal" && `button-${look}`, size === "icon" && "button-small", size !== "normal" && `button-${size}`, className];
	return (
		<button
			type="button"
			{...rest}
			{...(isDisabled ? { "aria-disabled": true } : {})}
			className={names.filter(Boolean).join(" ")}
			onClick={(event) => {
				if (isDisabled) event.preventDefault();
				else onClick?.(event);
			}}
		/>
	);
}

export type Tone = "good" | "warn" | "bad" | "info" | "quiet";

const TONE_ICONS = {
	good: CircleCheck,
	warn: TriangleAlert,
	bad: OctagonX,
	info: LoaderCircle,
	quiet: CircleSlash,
} as const;

export function ToneIcon({ tone, size = 14 }: { tone: Tone; size?: number }) {
	const Icon = TONE_ICONS[tone];
	return <Icon size={size} strokeWidth={2.25} aria-hidden />;
}

export function Pill({ tone, icon, children }: { tone: Tone; icon?: ReactNode; children: ReactNode }) {
	return (
		<span className={`pill tone-${tone}`}>
			{icon ?? <ToneIcon tone={tone} size={13} />}
			{children}
		</span>
	);
}

const STATE_TONES: Record<PluginState, Tone> = {
	active: "good",
	starting: "info",
	draining: "info",
	backing_off: "warn",
	quarantined: "bad",
	disabled: "quiet",
};

export function StatePill({ state }: { state: PluginState }) {
	const { t } = usePreferences();
	const icon = state === "draining" ? <CircleDashed size={13} strokeWidth={2.25} aria-hidden /> : undefined;
	return (
		<Pill tone={STATE_TONES[state]} icon={icon}>
			{t(`state.${state}`)}
		</Pill>
	);
}

interface SegmentedProps<T extends string> {
	label: string;
	value: T;
	options: readonly { value: T; label: string }[];
	onChange(value: T): void;
}

export function Segmented<T extends string>({ label, value, options, onChange }: SegmentedProps<T>) {
	const name = useId();
	return (
		<fieldset className="segmented">
			<legend className="sr-only">{label}</legend>
			{options.map((option) => (
				<label key={option.value}>
					<input
						type="radio"
						name={name}
						value={option.value}
						checked={option.value === value}
						onChange={() => onChange(option.value)}
					/>
					{option.label}
				</label>
			))}
		</fieldset>
	);
}

/** Copies text; the icon and the name say for a moment that it did. */
export function CopyButton({ text, what }: { text: string; what: string }) {
	const { t } = usePreferences();
	const [isCopied, setCopied] = useState(false);
	const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
	useEffect(() => () => clearTimeout(timer.current), []);

	const copy = () =>
		writeClipboard(text).then(
			() => {
				setCopied(true);
				clearTimeout(timer.current);
				timer.current = setTimeout(() => setCopied(false), 1600);
			},
			() => setCopied(false),
		);
	return (
		<Button look="quiet" size="icon" aria-label={isCopied ? t("copy.copied") : t("copy.label", { what })} onClick={copy}>
			{isCopied ? <Check size={14} aria-hidden /> : <Copy size={14} aria-hidden />}
		</Button>
	);
}

/** The clipboard API exists only on https and on this machine; a server in a lab has neither. */
async function writeClipboard(text: string): Promise<void> {
	if (navigator.clipboard) return navigator.clipboard.writeText(text);
	const area = document.createElement("textarea");
	area.value = text;
	area.className = "sr-only";
	document.body.append(area);
	area.select();
	const isCopied = document.execCommand("copy");
	area.remove();
	if (!isCopied) throw new Error("the browser does not copy");
}

export function Command({ text }: { text: string }) {
	return (
		<div className="command">
			<code>{text}</code>
			<CopyButton text={text} what={text} />
		</div>
	);
}

export function Skeleton({ width, height }: { width: number | string; height: number }) {
	return <span className="skeleton" style={{ width, height, maxWidth: "100%" }} />;
}

export function Banner({ tone, children, action, role = "status" }: { tone: Tone; children: ReactNode; action?: ReactNode; role?: "status" | "alert" | "note" }) {
	return (
		<div className={`banner tone-${tone}`} role={role}>
			<ToneIcon tone={tone} size={16} />
			<div className="banner-text">{children}</div>
			{action}
		</div>
	);
}

interface FieldProps extends Omit<ComponentProps<"input">, "id"> {
	label: string;
	hint?: ReactNode;
	error?: string | undefined;
}

export function Field({ label, hint, error, type = "text", ...rest }: FieldProps) {
	const { t } = usePreferences();
	const id = useId();
	const [isShown, setShown] = useState(false);
	const isPassword = type === "password";
	const described = [error && `${id}-error`, hint && `${id}-hint`].filter(Boolean).join(" ");
	return (
		<div className="field">
			<label htmlFor={id}>{label}</label>
			<div className="field-control">
				<input
					{...rest}
					id={id}
					type={isPassword && isShown ? "text" : type}
					{...(error ? { "aria-invalid": true } : {})}
					{...(described ? { "aria-describedby": described } : {})}
				/>
				{isPassword && (
					<Button
						size="icon"
						className="field-toggle"
						aria-label={isShown ? t("password.hide") : t("password.show")}
						onClick={() => setShown(!isShown)}
					>
						{isShown ? <EyeOff size={17} aria-hidden /> : <Eye size={17} aria-hidden />}
					</Button>
				)}
			</div>
			{error && (
				<p className="field-error" id={`${id}-error`}>
					<CircleAlert size={14} aria-hidden />
					{error}
				</p>
			)}
			{hint && (
				<p className="field-hint" id={`${id}-hint`}>
					{hint}
				</p>
			)}
		</div>
	);
}

/** What an error says to a person; the server's own words where it has some. */
export function useErrorText(): (error: unknown) => string {
	const { t } = usePreferences();
	return (error) => {
		if (!(error instanceof ApiError)) return t("error.unexpected");
		if (error.kind === "network") return t("error.network");
		return error.message || t("error.unexpected");
	};
}

/** The place of a part that could not be loaded: what failed, its code and trace, and a way on. */
export function Failure({ error, onRetry }: { error: unknown; onRetry(): void }) {
	const { t } = usePreferences();
	const text = useErrorText();
	const { code = "", traceId = "" } = error instanceof ApiError ? error : {};
	return (
		<div className="failure" role="alert">
			<h2>{t("error.title")}</h2>
			<p>{text(error)}</p>
			{(code || traceId) && (
				<p className="failure-detail">
					{code && <span>{t("error.code", { code })}</span>}
					{traceId && <span className="mono">{t("error.trace", { trace: traceId })}</span>}
				</p>
			)}
			<Button onClick={onRetry}>{t("error.retry")}</Button>
		</div>
	);
}
