import { type FormEvent, useRef, useState } from "react";
import { api } from "../api/client";
import type { Session } from "../api/schema";
import { useTitle } from "../lib/hooks";
import { usePreferences } from "../lib/preferences";
import { Gate } from "../shell/Gate";
import { Banner, Button, Command, Field, useErrorText } from "../ui/ui";
import { checkEmail, missingCharacters, PASSWORD_MIN } from "./checks";

export function SetUp({ token, onSession }: { token: string; onSession(session: Session): void }) {
	const { t } = usePreferences();
	const errorText = useErrorText();
	const [isBusy, setBusy] = useState(false);
	const [error, setError] = useState<unknown>(null);
	const [fields, setFields] = useState<{ email?: string | undefined; password?: string | undefined }>({});
	const form = useRef<HTMLFormElement>(null);
	useTitle(t("setup.title"));

	const submit = async (event: FormEvent) => {
		event.preventDefault();
		if (isBusy) return;
		const data = new FormData(event.currentTarget as HTMLFormElement);
		const email = String(data.get("email") ?? "").trim();
		const password = String(data.get("password") ?? "");
		const problem = checkEmail(email);
		const missing = missingCharacters(password);
		setFields({
			email: problem && t(problem),
			password: missing > 0 ? t("setup.short", { count: missing }) : undefined,
		});
		setError(null);
		if (problem || missing > 0) {
			form.current?.querySelector<HTMLInputElement>(problem ? "[name=email]" : "[name=password]")?.focus();
			return;
		}
		setBusy(true);
		try {
			onSession(await api.claim(token, email, password));
		} catch (failure) {
			setError(failure);
			setBusy(false);
		}
	};

	return (
		<Gate title={t("setup.title")} lead={t("setup.lead")}>
			{error !== null && (
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
					autoComplete="new-password"
					hint={t("setup.passwordHint", { count: PASSWORD_MIN })}
					error={fields.password}
					required
				/>
				<Button type="submit" look="primary" isDisabled={isBusy}>
					{isBusy ? t("setup.busy") : t("setup.submit")}
				</Button>
			</form>
		</Gate>
	);
}

/** The server has no operator, and this page was opened without the one-time link. */
export function SetUpNeedsLink() {
	const { t } = usePreferences();
	useTitle(t("setup.linkTitle"));
	return (
		<Gate title={t("setup.linkTitle")} lead={t("setup.linkLead")}>
			<div className="gate-help">
				<p>{t("setup.linkTerminal")}</p>
				<div className="command">
					<code>{`${location.origin}/_/#setup=…`}</code>
				</div>
			</div>
			<div className="gate-help">
				<p>{t("setup.linkAgain")}</p>
				<Command text="tenon operator upsert EMAIL PASSWORD" />
			</div>
		</Gate>
	);
}
