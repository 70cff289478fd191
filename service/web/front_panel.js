// The panel of recall against time: its plot, its slider, and what they mean for the search at hand.

import { byId, duration, fraction } from "./dom.js";
import { drawFront, stopOf, stopOfPromise, stopsFor } from "./front.js";
import { byHand } from "./settings.js";

const USUAL = 0.95; // the recall that the service looks for where nobody says

/**
 * Fill the panel.
 *
 * @param {object|null} facts of the index, once they are known
 * @param {object} settings of the search
 * @param {object|null} plan of the last search
 * @param {(stop: number) => void} onChoose called when a plan of the plot is clicked
 */
export function showFront(facts, settings, plan, onChoose) {
  const stops = stopsFor(facts?.calibration, settings.k);
  const slider = byId("recall"), note = byId("front-note"), automatic = byId("automatic");
  const hand = byHand(settings);
  slider.disabled = !stops.length || hand;
  automatic.hidden = !stops.length || (settings.recall === null && !hand);
  byId("front-panel").classList.toggle("off", slider.disabled);
  byId("front").toggleAttribute("hidden", !stops.length);
  if (!stops.length) {
    byId("front-figure").textContent = "";
    note.textContent = facts ? "This index has no calibrated plans, so there is nothing to choose from. Measure them with: mrl index calibrate" : "";
    return;
  }
  const chosen = hand ? -1 : settings.recall !== null ? stopOf(stops, settings.recall) : stopOfPromise(stops, plan?.promise);
  slider.max = stops.length - 1;
  slider.value = chosen >= 0 ? chosen : stopOf(stops, USUAL);
  const stop = stops[chosen];
  slider.setAttribute("aria-valuetext", stop ? `recall of at least ${fraction(stop.recall_low)}, ${duration(stop.milliseconds)}` : "chosen by the service");
  byId("front-figure").textContent = stop ? `≥ ${fraction(stop.recall_low)} · ${duration(stop.milliseconds)}` : "";
  const beyond = settings.k > stops[0].k ? ` Calibrated for up to ${stops[0].k} results; beyond, a recall asked for is met by an exact search.` : "";
  if (hand) note.textContent = "The plan is set by hand.";
  else if (settings.recall === null) note.textContent = `Chosen by the service; move the slider to ask for another recall.${beyond}`;
  else if (settings.filter.trim() && stop.recall_low < 1) note.textContent = `Calibrated without a filter; under one, this recall is not promised.${beyond}`;
  else note.textContent = `Mean recall ${fraction(stop.recall)} when calibrated, at least ${fraction(stop.recall_low)} promised.${beyond}`;
  drawFront(stops, chosen, onChoose);
}
