// Keyboard shortcuts: / focuses the box, arrows or j and k move through the results, Esc returns and clears, ? shows help.
// Enter needs no code: it submits the form, or opens the result whose button has the focus.

import { byId } from "./dom.js";

export function listen(onClear) {
  const box = byId("query"), help = byId("help");
  byId("help-open").addEventListener("click", () => help.showModal());

  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing || event.ctrlKey || event.metaKey || event.altKey || help.open) return;
    const { target, key } = event;
    const inBox = target === box;
    const writing = target.matches("textarea, select, input:not([type=checkbox], [type=range])");
    const arrows = inBox || !target.matches("textarea, select, input");
    let done = true;
    if (key === "Escape" && inBox) onClear();
    else if (key === "Escape") box.select();
    else if (key === "/" && !writing) box.select();
    else if (key === "?" && !writing) help.showModal();
    else if ((key === "ArrowDown" && arrows) || (key === "j" && !writing)) done = move(1, box);
    else if ((key === "ArrowUp" && arrows && !inBox) || (key === "k" && !writing)) done = move(-1, box);
    else done = false;
    if (done) event.preventDefault();
  });
}

/** Focus the next or previous result; the box comes before the first. Returns whether there are results. */
function move(step, box) {
  const buttons = [...document.querySelectorAll(".hit .open")];
  if (!buttons.length) return false;
  const at = buttons.indexOf(document.activeElement.closest(".hit")?.querySelector(".open"));
  const next = at + step;
  if (next < 0) box.select();
  else buttons[Math.min(next, buttons.length - 1)].focus();
  document.activeElement.closest(".hit")?.scrollIntoView({ block: "nearest" });
  return true;
}
