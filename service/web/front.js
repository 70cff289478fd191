// Calibrated plans of an index: the stops of the slider, and the plot of recall against latency.

import { byId, draw, duration, fraction } from "./dom.js";

/** Return the plans for k results, fastest first: those of the smallest calibrated k that suffices. */
export function stopsFor(calibration, k) {
  const plans = calibration?.plans ?? [];
  const sizes = plans.map((plan) => plan.k);
  const enough = sizes.filter((size) => size >= k);
  const of = enough.length ? Math.min(...enough) : Math.max(...sizes);
  return plans.filter((plan) => plan.k === of && plan.recall_low > 0).sort((a, b) => a.milliseconds - b.milliseconds);
}

/** Return the stop for a target recall: the fastest plan that promises it, else the most accurate one. */
export function stopOf(stops, recall) {
  const found = stops.findIndex((plan) => plan.recall_low >= recall);
  return found < 0 ? stops.length - 1 : found;
}

/** Return the stop that has the given promise; -1 if there is none. */
export const stopOfPromise = (stops, promise) =>
  promise ? stops.findIndex((plan) => plan.recall_low === promise.recall_low && plan.milliseconds === promise.milliseconds) : -1;

/** Draw lower bounds as a staircase, mean recall as whiskers above it, and the chosen stop with lines to both axes. */
export function drawFront(stops, chosen, onChoose) {
  const svg = byId("front");
  const width = Math.max(280, svg.clientWidth), height = 168;
  const box = { left: 38, right: width - 12, top: 12, bottom: height - 26 };
  const times = stops.map((plan) => Math.log(plan.milliseconds));
  const [fastest, slowest] = [Math.min(...times), Math.max(...times)];
  const margin = Math.max(0.12, (1.5 - (slowest - fastest)) / 2); // so that a single plan has an axis too
  const [first, last] = [fastest - margin, slowest + margin];
  const lowest = Math.max(0, Math.floor((Math.min(...stops.map((plan) => plan.recall_low)) - 0.02) * 10) / 10);
  const x = (plan) => box.left + ((Math.log(plan.milliseconds) - first) / (last - first)) * (box.right - box.left);
  const y = (recall) => box.bottom - ((recall - lowest) / (1 - lowest || 1)) * (box.bottom - box.top);
  const parts = [];

  const step = 1 - lowest > 0.45 ? 0.2 : 1 - lowest > 0.15 ? 0.1 : 0.05;
  for (let recall = 1; recall >= lowest - 1e-9; recall -= step) {
    parts.push(
      draw("line", { class: "grid", x1: box.left, x2: box.right, y1: y(recall), y2: y(recall) }),
      draw("text", { class: "tick recall", x: box.left - 8, y: y(recall) + 4 }, recall.toFixed(step < 0.1 ? 2 : 1)),
    );
  }
  for (const tick of ticks(Math.exp(first), Math.exp(last))) {
    parts.push(draw("text", { class: "tick", x: x({ milliseconds: tick }), y: height - 8 }, `${tick} ms`));
  }

  const stairs = stops.map((plan, i) => `${i ? `H${x(plan)}V` : `M${x(plan)} `}${y(plan.recall_low)}`).join("");
  parts.push(
    draw("path", { class: "area", d: `${stairs}H${box.right}V${box.bottom}H${x(stops[0])}Z` }),
    draw("path", { class: "stairs", d: `${stairs}H${box.right}` }),
  );
  for (const plan of stops) {
    parts.push(draw("line", { class: "whisker", x1: x(plan), x2: x(plan), y1: y(plan.recall_low), y2: y(plan.recall) }));
  }
  const plan = stops[chosen];
  if (plan) {
    parts.push(draw("path", { class: "cross", d: `M${box.left} ${y(plan.recall_low)}H${x(plan)}V${box.bottom}` }));
  }
  stops.forEach((stop, i) => {
    const dot = draw("circle", { class: i === chosen ? "stop chosen" : "stop", cx: x(stop), cy: y(stop.recall_low), r: i === chosen ? 6 : 3.5 });
    const target = draw("circle", { class: "target", cx: x(stop), cy: y(stop.recall_low), r: 10 },
      draw("title", {}, `recall ≥ ${fraction(stop.recall_low)} (mean ${fraction(stop.recall)}), ${duration(stop.milliseconds)}`));
    target.addEventListener("click", () => onChoose(i));
    parts.push(dot, target);
  });
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("height", height);
  const at = plan ? ` Chosen: at least ${fraction(plan.recall_low)} in ${duration(plan.milliseconds)}.` : "";
  svg.setAttribute("aria-label", `Calibrated plans, from recall ${fraction(stops[0].recall_low)} in ${duration(stops[0].milliseconds)} ` +
    `to ${fraction(stops.at(-1).recall_low)} in ${duration(stops.at(-1).milliseconds)}.${at}`);
  svg.replaceChildren(...parts);
}

/** Return round latencies between two, few enough to label side by side. */
function ticks(from, to) {
  const found = [];
  for (let power = Math.floor(Math.log10(from)); power <= Math.ceil(Math.log10(to)); power += 1) {
    for (const digit of [1, 2, 5]) found.push(Number((digit * 10 ** power).toPrecision(1)));
  }
  const inside = found.filter((tick) => tick >= from && tick <= to);
  const every = Math.ceil(inside.length / 5);
  return inside.filter((_, i) => (inside.length - 1 - i) % every === 0);
}
