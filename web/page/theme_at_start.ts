/** Runs before the first paint: the theme that was chosen, so that a dark page never flashes white. */
import { THEME_KEY } from "./theme.ts";

try {
  const chosen = localStorage.getItem(THEME_KEY);
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // Storage may be forbidden: then the system's theme holds.
}
