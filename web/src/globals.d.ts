/** From CHANGELOG.md, as vite.config.ts reads it. */
declare const __VERSION__: string;
