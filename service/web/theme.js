// Not a module, so that it runs before the page is painted: a module waits for the document.
"use strict";

(() => {
  const KEY = "mrl-theme";
  const THEMES = ["system", "light", "dark"];
  const SIGNS = { system: "◐", light: "☀", dark: "☾" };
  const NAMES = { system: "as the system", light: "light", dark: "dark" };
  const root = document.documentElement;

  const stored = () => {
    try {
      const theme = localStorage.getItem(KEY);
      return THEMES.includes(theme) ? theme : "system";
    } catch {
      return "system"; // storage is forbidden
    }
  };

  const apply = (theme) => {
    root.dataset.theme = theme;
    const button = document.getElementById("theme");
    if (!button) return;
    button.textContent = SIGNS[theme];
    button.setAttribute("aria-label", `Colours: ${NAMES[theme]}`);
    button.title = `Colours: ${NAMES[theme]}`;
  };

  apply(stored());
  document.addEventListener("DOMContentLoaded", () => {
    apply(stored());
    document.getElementById("theme").addEventListener("click", () => {
      const theme = THEMES[(THEMES.indexOf(root.dataset.theme) + 1) % THEMES.length];
      try {
        localStorage.setItem(KEY, theme);
      } catch { /* it holds for this visit */ }
      apply(theme);
    });
  });
})();
