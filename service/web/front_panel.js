// Panel of recall against latency: its plot, its slider, and a note on the current search.

import { byId, duration, fraction } from "./dom.js";
import { drawFront, stopOf, stopOfPromise, stopsFor } from "./front.js";
import { hasExplicitPlan } from "./settings.js";

const USUAL = 0.95; // the default target recall of the service

/**
 * Fill the panel.
 *
 * @param {object|null} facts facts of the index, once known
 * @param {object} settings settings of the search
 * @param {object|null} plan plan of the last search
 * @param {(stop: number) => void} onChoose called when a plan of the plot is clicked
 */
export function showFront(facts, settings, plan, onChoose) {
  const stops = stopsFor(facts?.calibration, settings.k);
  const slider = byId("recall"), note = byId("front-note"), automatic = byId("automatic");
  const explicit = hasExplicitPlan(settings);
  slider.disabled = !stops.length || explicit;
  automatic.hidden = !stops.length || (settings.recall === null && !explicit);
  byId("front-panel").classList.toggle("off", slider.disabled);
  byId("front").toggleAttribute("hidden", !stops.length);
  if (!stops.length) {
    byId("front-figure").textContent = "";
    note.textContent = facts ? "This index has no calibrated plans to choose from. To measure them, run: mrl index calibrate" : "";
    return;
  }
  const chosen = explicit ? -1 : settings.recall !== null ? stopOf(stops, settings.recall) : stopOfPromise(stops, plan?.promise);
  slider.max = stops.length - 1;
  slider.value = chosen >= 0 ? chosen : stopOf(stops, USUAL);
  const stop = stops[chosen];
  slider.setAttribute("aria-valuetext", stop ? `recall of at least ${fraction(stop.recall_low)}, ${duration(stop.milliseconds)}` : "chosen by the service");
  byId("front-figure").textContent = stop ? `≥ ${fraction(stop.recall_low)} · ${duration(stop.milliseconds)}` : "";
  const beyond = settings.k > stops[0].k ? ` Calibrated for up to ${stops[0].k} results; above that, a target recall is met by exact search.` : "";
  if (explicit) note.textContent = "An explicit plan is set.";
  else if (settings.recall === null) note.textContent = `Chosen by the service; move the slider to set a target recall.${beyond}`;
  else if (settings.filter.trim() && stop.recall_low < 1) note.textContent = `Calibrated without a filter; with one, this recall is not promised.${beyond}`;
  else note.textContent = `Calibration measured a mean recall of ${fraction(stop.recall)} and promises at least ${fraction(stop.recall_low)}.${beyond}`;
  drawFront(stops, chosen, onChoose);
}
