import { type FormEvent, useEffect, useRef, useState } from "react";
import { api, ApiError } from "../api/client";
import type { Session } from "../api/schema";
import { useTitle } from "../lib/hooks";
import { usePreferences } from "../lib/preferences";
import { Gate } from "../shell/Gate";
import { Banner, Button, Command, Field, useErrorText } from "../ui/ui";
import { checkEmail } from "./checks";

/** Why the operator sees this page. */
export type SignInReason = "start" | "ended" | "signedOut" | "done";

/** Counts down to zero, second by second. */
function useCountdown(): [number, (seconds: number) => void] {
	const [left, setLeft] = useState(0);
	useEffect(() => {
		if (left <= 0) return;
		const timer = setTimeout(() => setLeft(left - 1), 1000);
		return () => clearTimeout(timer);
	}, [left]);
	return [left, setLeft];
}

export function SignIn({ reason, onSession }: { reason: SignInReason; onSession(session: Session): void }) {
	const { t } = usePreferences();
	const errorText = useErrorText();
	const [isBusy, setBusy] = useState(false);
	const [error, setError] = useState<unknown>(null);
	const [fields, setFields] = useState<{ email?: string | undefined; password?: string | undefined }>({});
	const [wait, setWait] = useCountdown();
	const form = useRef<HTMLFormElement>(null);
	useTitle(t("signin.title"));

	const submit = async (event: FormEvent) => {
		event.preventDefault();
		if (isBusy || wait > 0) return;
		const data = new FormData(event.currentTarget as HTMLFormElement);
		const email = String(data.get("email") ?? "").trim();
		const password = String(data.get("password") ?? "");
		const problem = checkEmail(email);
		setFields({ email: problem && t(problem), password: password ? undefined : t("field.required") });
		setError(null);
		if (problem || !password) {
			form.current?.querySelector<HTMLInputElement>(problem ? "[name=email]" : "[name=password]")?.focus();
			return;
		}
		setBusy(true);
		try {
			onSession(await api.signIn(email, password));
		} catch (failure) {
			if (failure instanceof ApiError && failure.status === 429) setWait(failure.retryAfterS || 30);
			else setError(failure);
			setBusy(false);
		}
	};

	return (
		<Gate title={t("signin.title")} lead={t("signin.lead")}>
			{reason !== "start" && !error && wait === 0 && <Banner tone="info">{t(`signin.${reason}`)}</Banner>}
			{wait > 0 && (
				<Banner tone="warn" role="alert">
					{t("signin.wait", { count: wait })}
				</Banner>
			)}
			{error !== null && wait === 0 && (
				<Banner tone="bad" role="alert">
					{errorText(error)}
				</Banner>
			)}
			<form className="gate-form" noValidate onSubmit={(event) => void submit(event)} ref={form}>
				<Field label={t("signin.email")} name="email" type="email" autoComplete="username" error={fields.email} required />
				<Field
					label={t("signin.password")}
					name="password"
					type="password"
					autoComplete="current-password"
					error={fields.password}
					required
				/>
				<Button type="submit" look="primary" isDisabled={isBusy || wait > 0}>
					{isBusy ? t("signin.busy") : t("signin.submit")}
				</Button>
			</form>
			<div className="gate-help">
				<p>{t("signin.help")}</p>
				<Command text="tenon operator upsert EMAIL PASSWORD" />
			</div>
		</Gate>
	);
}
