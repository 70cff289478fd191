// Results of a plan beside those of exact search.

import { byId, draw, duration, make, several } from "./dom.js";
import { searchTime } from "./funnel.js";

const SAME = 1e-6; // scores this close are equal: copies of a text have the same vector

/**
 * Compare the results of a plan with those of exact search. As in calibration, a document whose score equals that of the
 * last exact result counts as found: which of several tied documents is listed is arbitrary.
 */
export function judge(found, exact) {
  const foundIds = new Map(found.map((hit, i) => [hit.id, i]));
  const exactIds = new Map(exact.map((hit, i) => [hit.id, i]));
  const last = exact.at(-1)?.score ?? 0;
  const ties = found.filter((hit) => !exactIds.has(hit.id) && hit.score >= last - SAME);
  let spare = ties.length;
  const missed = new Set();
  // From the end, because ties are at the end of the exact list.
  for (const hit of [...exact].reverse()) {
    if (foundIds.has(hit.id)) continue;
    if (spare > 0 && hit.score <= last + SAME) spare -= 1;
    else missed.add(hit.id);
  }
  return { foundIds, exactIds, ties: new Set(ties.map((hit) => hit.id)), missed, recall: exact.length ? 1 - missed.size / exact.length : 1 };
}

export function foundBadge({ exactIds, ties }, hit) {
  if (exactIds.has(hit.id)) return null;
  return ties.has(hit.id) ? { kind: "tie", text: "tied score" } : { kind: "extra", text: "not in exact results" };
}

export function exactBadge({ foundIds, missed }, hit) {
  if (foundIds.has(hit.id)) return null;
  return missed.has(hit.id) ? { kind: "missed", text: "missed" } : { kind: "tie", text: "tied score" };
}

const ratio = (times) => `${times.toFixed(times < 20 ? 1 : 0)}×`;

/** Make the figures above the two lists. */
export function verdict(answer, exact, judgement) {
  const [own, full] = [searchTime(answer.stages), searchTime(exact.stages)];
  const single = answer.plan.structure === "scan" && answer.plan.dims === answer.plan.rerank_dims;
  const times = full / own;
  const figures = [
    ["recall of this query", `${Number((100 * judgement.recall).toFixed(1))} %`, judgement.missed.size ? `${several(judgement.missed.size, "result")} missed` : "none missed"],
    ["this plan", duration(own), single ? "an exact search" : `${answer.plan.dims} → ${answer.plan.rerank_dims} dimensions`],
    ["exact search", duration(full), `${exact.plan.rerank_dims} dimensions, every row`],
  ];
  if (!single) figures.push(times >= 1 ? ["faster", ratio(times), "in this measurement"] : ["slower", ratio(1 / times), "in this measurement"]);
  return make("dl", { className: "figures" }, ...figures.map(([name, value, note]) =>
    make("div", {}, make("dt", {}, name), make("dd", {}, make("b", {}, value), make("small", {}, note)))));
}

/** Connect the documents that are in both lists by lines. */
export function drawLinks() {
  const svg = byId("links");
  if (!svg) return;
  const frame = svg.getBoundingClientRect();
  const middle = (item) => {
    const { top } = item.getBoundingClientRect();
    return top + 24 - frame.top;
  };
  const right = new Map([...document.querySelectorAll("#exact-list .hit")].map((item) => [item.dataset.id, item]));
  const lines = [...document.querySelectorAll("#found-list .hit")].flatMap((item) => {
    const other = right.get(item.dataset.id);
    if (!other) return [];
    const [a, b, w] = [middle(item), middle(other), frame.width];
    return draw("path", { d: `M2 ${a}C${w / 2} ${a} ${w / 2} ${b} ${w - 2} ${b}`, class: a === b ? "link" : "link moved" });
  });
  svg.setAttribute("viewBox", `0 0 ${frame.width || 1} ${frame.height || 1}`);
  svg.replaceChildren(...lines);
}
