import { Component, type ReactNode } from "react";
import { usePreferences } from "../lib/preferences";
import { Button } from "./ui";

/** Keeps a part that throws from taking the page with it. */
export class ErrorBoundary extends Component<{ children: ReactNode }, { hasFailed: boolean }> {
	override state = { hasFailed: false };

	static getDerivedStateFromError() {
		return { hasFailed: true };
	}

	override render() {
		return this.state.hasFailed ? <Crashed /> : this.props.children;
	}
}

function Crashed() {
	const { t } = usePreferences();
	return (
		<div className="card failure" role="alert">
			<h2>{t("error.crash")}</h2>
			<Button onClick={() => location.reload()}>{t("error.reload")}</Button>
		</div>
	);
}
