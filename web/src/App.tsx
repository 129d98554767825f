import { CSPProvider } from "@base-ui/react/csp-provider";
import { QueryClient, QueryClientProvider, useQuery, useQueryClient } from "@tanstack/react-query";
import { lazy, Suspense, useEffect, useState } from "react";
import { Link, Route, Router, Switch, useLocation } from "wouter";
import { api, ApiError } from "./api/client";
import type { Session } from "./api/schema";
import { useIsLate, useTitle } from "./lib/hooks";
import { PreferencesProvider, usePreferences } from "./lib/preferences";
import { LiveProvider } from "./live/LiveProvider";
import { readSetupToken } from "./pages/checks";
import { SetUp, SetUpNeedsLink } from "./pages/SetUp";
import { SignIn, type SignInReason } from "./pages/SignIn";
import { Brand } from "./shell/brand";
import { Shell } from "./shell/Shell";
import { ErrorBoundary } from "./ui/ErrorBoundary";
import { Banner, Failure, useErrorText } from "./ui/ui";

const Overview = lazy(() => import("./pages/overview/Overview"));

function createQueries(): QueryClient {
	return new QueryClient({
		defaultOptions: {
			queries: {
				// The stream says when something changed; asking again on each focus says it twice.
				staleTime: 60_000,
				refetchOnWindowFocus: false,
				networkMode: "always",
				retry: (count, error) =>
					count < 2 && !(error instanceof ApiError && error.status >= 400 && error.status < 500),
			},
		},
	});
}

export function App() {
	const [queries] = useState(createQueries);
	return (
		<CSPProvider disableStyleElements>
			<QueryClientProvider client={queries}>
				<PreferencesProvider>
					<ErrorBoundary>
						<Router base="/_">
							<Entry />
						</Router>
					</ErrorBoundary>
				</PreferencesProvider>
			</QueryClientProvider>
		</CSPProvider>
	);
}

function useHash(): string {
	const [hash, setHash] = useState(location.hash);
	useEffect(() => {
		const follow = () => setHash(location.hash);
		addEventListener("hashchange", follow);
		return () => removeEventListener("hashchange", follow);
	}, []);
	return hash;
}

/** Decides between the pages for who is signed in, who could be, and who is the first to come. */
function Entry() {
	const queries = useQueryClient();
	const token = readSetupToken(useHash());
	const [reason, setReason] = useState<SignInReason>("start");
	const session = useQuery({ queryKey: ["session"], queryFn: api.session });
	const isOut = session.data === null;
	const setup = useQuery({ queryKey: ["setup"], queryFn: api.setup, enabled: isOut });

	const enter = (next: Session) => {
		// The token is spent; it has no place in the address and the history of the browser.
		if (token) history.replaceState(null, "", location.pathname + location.search);
		queries.setQueryData(["session"], next);
	};
	const leave = (why: SignInReason) => {
		setReason(why);
		queries.removeQueries({ predicate: (query) => query.queryKey[0] !== "session" });
		queries.setQueryData(["session"], null);
	};

	if (session.data)
		return (
			<LiveProvider session={session.data} onSignedOut={() => leave("ended")}>
				<SignedIn session={session.data} onLeave={() => leave("signedOut")} />
			</LiveProvider>
		);
	if (isOut && setup.data) {
		if (setup.data.needed) return token ? <SetUp token={token} onSession={enter} /> : <SetUpNeedsLink />;
		return <SignIn reason={token ? "done" : reason} onSession={enter} />;
	}
	const failed = session.error ?? setup.error;
	if (failed)
		return (
			<Alone>
				<div className="card">
					<Failure error={failed} onRetry={() => void (session.error ? session : setup).refetch()} />
				</div>
			</Alone>
		);
	return <Loading />;
}

function Alone({ children }: { children: React.ReactNode }) {
	return (
		<main className="gate">
			<div className="gate-main">
				<Brand />
				{children}
			</div>
		</main>
	);
}

function Loading() {
	const { t } = usePreferences();
	const isLate = useIsLate(400);
	return isLate ? (
		<Alone>
			<p className="muted" role="status">
				{t("app.loading")}
			</p>
		</Alone>
	) : null;
}

function SignedIn({ session, onLeave }: { session: Session; onLeave(): void }) {
	const { t } = usePreferences();
	const errorText = useErrorText();
	const [signOutError, setSignOutError] = useState<unknown>(null);
	const signOut = () => {
		setSignOutError(null);
		api.signOut(session.csrf).then(onLeave, (error: unknown) => {
			// The session was over before: this tab is done just the same.
			if (error instanceof ApiError && error.status === 401) onLeave();
			else setSignOutError(error);
		});
	};
	return (
		<Shell session={session} onSignOut={signOut}>
			{signOutError !== null && (
				<Banner tone="bad" role="alert">
					{t("account.signOutFailed", { message: errorText(signOutError) })}
				</Banner>
			)}
			<ErrorBoundary>
				<Suspense fallback={null}>
					<Switch>
						<Route path="/">
							<Overview />
						</Route>
						<Route>
							<NotFound />
						</Route>
					</Switch>
				</Suspense>
			</ErrorBoundary>
		</Shell>
	);
}

function NotFound() {
	const { t } = usePreferences();
	const [path] = useLocation();
	useTitle(t("notFound.title"));
	return (
		<div className="card failure">
			<h1>{t("notFound.title")}</h1>
			<p>{t("notFound.text", { path: `/_${path}` })}</p>
			<Link href="/" className="button">
				{t("notFound.back")}
			</Link>
		</div>
	);
}

