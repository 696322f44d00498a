// Light or dark, as the system has it until the reader chooses.

import { useEffect } from "preact/hooks";
import { change, useStore } from "./state.ts";

const KEY = "vpcflow-theme";
const system = matchMedia("(prefers-color-scheme: dark)");

function chosen(): string | null {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

function remember(theme: string) {
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // Then it holds until the page is left.
  }
}

function apply(theme: string | null) {
  const isDark = theme === null ? system.matches : theme === "dark";
  document.documentElement.dataset.theme = isDark ? "dark" : "light";
  change({ isDark });
}

export function startTheme() {
  apply(chosen());
}

export function ThemeButton() {
  const isDark = useStore((state) => state.isDark);
  useEffect(() => {
    const follow = () => apply(chosen());
    system.addEventListener("change", follow);
    return () => system.removeEventListener("change", follow);
  }, []);
  function turn() {
    const theme = isDark ? "light" : "dark";
    apply(theme);
    remember(theme);
  }
  return (
    <button type="button" class="quiet" id="theme" onClick={turn}>
      <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
        <circle cx="8" cy="8" r="6.2" fill="none" stroke="currentColor" stroke-width="1.6" />
        <path d="M8 1.8a6.2 6.2 0 0 1 0 12.4z" fill="currentColor" />
      </svg>
      {isDark ? "Light" : "Dark"}
      <span class="visually-hidden"> theme</span>
    </button>
  );
}
