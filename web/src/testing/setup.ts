import { cleanup } from "@testing-library/react";
import { afterEach, vi } from "vitest";

// A canvas has no pixels here, and uPlot is nothing without one; what it is given is tested apart.
vi.mock("uplot", () => {
	class Plot {
		cursor = {};
		setData() {}
		setSize() {}
		setCursor() {}
		valToPos() {
			return 0;
		}
		destroy() {}
		static sync(key: string) {
			return { key };
		}
	}
	return { default: Plot };
});
vi.mock("uplot/dist/uPlot.min.css", () => ({}));

afterEach(() => {
	cleanup();
	localStorage.clear();
	vi.unstubAllGlobals();
	vi.useRealTimers();
});
