import { Dialog } from "@base-ui/react/dialog";
import { LayoutDashboard, Menu as MenuIcon, X } from "lucide-react";
import { type ReactNode, useEffect, useRef, useState } from "react";
import { Link, useLocation } from "wouter";
import type { Session } from "../api/schema";
import { useLive } from "../live/LiveProvider";
import { isPlainHttp } from "../lib/attention";
import { usePreferences } from "../lib/preferences";
import { Banner, Button } from "../ui/ui";
import { Account } from "./Account";
import { Brand } from "./brand";
import { LiveStatus } from "./LiveStatus";
import "./shell.css";

const SECTIONS = ["attention", "traffic", "plugins", "safety"] as const;

/** Shows what exists: a page that is not there yet has no entry. */
function Nav({ onLeave }: { onLeave?: () => void }) {
	const { t } = usePreferences();
	const [path] = useLocation();
	const isOverview = path === "/";
	return (
		<nav aria-label={t("nav.label")}>
			<ul className="nav-list">
				<li>
					<Link href="/" aria-current={isOverview ? "page" : undefined} onClick={onLeave}>
						<LayoutDashboard size={17} aria-hidden />
						{t("nav.overview")}
					</Link>
					{isOverview && (
						<ul className="nav-sections" aria-label={t("nav.onThisPage")}>
							{SECTIONS.map((section) => (
								<li key={section}>
									<a href={`#${section}`} onClick={onLeave}>
										{t(`nav.${section}`)}
									</a>
								</li>
							))}
						</ul>
					)}
				</li>
			</ul>
		</nav>
	);
}

function Drawer({ session, onSignOut }: { session: Session; onSignOut(): void }) {
	const { t } = usePreferences();
	const [isOpen, setOpen] = useState(false);
	return (
		<Dialog.Root open={isOpen} onOpenChange={setOpen}>
			<Dialog.Trigger render={<Button look="quiet" size="icon" aria-label={t("nav.open")} />}>
				<MenuIcon size={19} aria-hidden />
			</Dialog.Trigger>
			<Dialog.Portal>
				<Dialog.Backdrop className="drawer-backdrop" />
				<Dialog.Popup className="drawer">
					<div className="drawer-head">
						<Dialog.Title render={<span />}>
							<Brand />
						</Dialog.Title>
						<Dialog.Close render={<Button look="quiet" size="icon" aria-label={t("nav.close")} />}>
							<X size={19} aria-hidden />
						</Dialog.Close>
					</div>
					<Nav onLeave={() => setOpen(false)} />
					<div className="sidebar-foot">
						<Account session={session} onSignOut={onSignOut} />
					</div>
				</Dialog.Popup>
			</Dialog.Portal>
		</Dialog.Root>
	);
}

function Banners() {
	const { t, format } = usePreferences();
	const { status, isUpgraded, retryNow } = useLive();
	const isOffline = status.kind === "stale";
	return (
		<div className="banners">
			{isUpgraded && (
				<Banner
					tone="info"
					action={
						<Button size="small" onClick={() => location.reload()}>
							{t("banner.reload")}
						</Button>
					}
				>
					{t("banner.upgraded")}
				</Banner>
			)}
			{isOffline && (
				<Banner
					tone="warn"
					action={
						<Button size="small" onClick={retryNow}>
							{t("banner.retry")}
						</Button>
					}
				>
					{status.lastAtMs > 0
						? t("banner.offline", { time: format.time(status.lastAtMs / 1000) })
						: t("banner.offlineNoData")}
				</Banner>
			)}
			{isPlainHttp(location) && (
				<Banner tone="warn" role="note">
					{t("banner.plainHttp")}
				</Banner>
			)}
		</div>
	);
}

export function Shell({ session, onSignOut, children }: { session: Session; onSignOut(): void; children: ReactNode }) {
	const { t } = usePreferences();
	const [path] = useLocation();
	const main = useRef<HTMLElement>(null);
	const isFirst = useRef(true);

	// A new page begins at its beginning, for the eye and for the keyboard.
	useEffect(() => {
		if (isFirst.current) {
			isFirst.current = false;
			return;
		}
		main.current?.focus();
		scrollTo(0, 0);
	}, [path]);

	return (
		<div className="shell">
			<a className="skip-link" href="#main">
				{t("app.skip")}
			</a>
			<aside className="sidebar">
				<div className="sidebar-inner">
					<Brand />
					<Nav />
					<div className="sidebar-foot">
						<Account session={session} onSignOut={onSignOut} />
					</div>
				</div>
			</aside>
			<header className="topbar">
				<Drawer session={session} onSignOut={onSignOut} />
				<Brand />
				<LiveStatus />
			</header>
			<main className="main" id="main" tabIndex={-1} ref={main}>
				<div className="main-inner">
					<Banners />
					{children}
				</div>
			</main>
		</div>
	);
}
