// Facts of the index, and its live recall.

import { byId, bytes, draw, fraction, make, several, whole } from "./dom.js";
import { structureName } from "./funnel.js";

const dateOf = (text) => new Date(text).toLocaleDateString("en", { year: "numeric", month: "short", day: "numeric" });

export function showFacts(facts) {
  const { kind, dims, memory_bytes: memory, ...options } = facts.shortlist;
  const { calibration } = facts;
  const model = facts.model.split("/").at(-1);
  const queries = Object.values(calibration?.kinds ?? {}).reduce((a, b) => a + b, 0);
  byId("summary").textContent = `${several(facts.documents, "document")} · ${several(facts.dimension, "dimension")} · ${model}`;
  byId("facts-figure").textContent = several(facts.documents, "document");
  const rows = [
    ["Documents", whole(facts.documents), facts.rejected ? `${whole(facts.rejected)} rows rejected` : ""],
    ["Generation", String(Number(facts.generation)), `built ${dateOf(facts.created)}`],
    ["Model", model, facts.model_hash.slice(0, 12)],
    ["Dimensions", String(facts.dimension), `trained sizes ${facts.sizes.join(", ")}`],
    ["Structure", structureName(kind), [`${dims} dimensions`, ...describeOptions(options)].join(", ")],
    ["In memory", memory ? bytes(memory) : "–", memory && facts.documents ? `${whole(Math.round(memory / facts.documents))} B per document` : ""],
    ["On disk", bytes(facts.bytes_on_disk), `vectors as ${facts.vectors}`],
    ["Calibrated", calibration ? dateOf(calibration.created) : "no",
      queries ? `on ${several(queries, `${calibration.queries} query`, `${calibration.queries} queries`)}` : ""],
  ];
  if (facts.lexical) rows.push(["Words", whole(facts.lexical.words), `BM25 over ${facts.lexical.fields.join(", ")}`]);
  byId("facts").replaceChildren(...rows.map(([name, value, note]) =>
    make("div", {}, make("dt", {}, name), make("dd", {}, value, note ? make("small", {}, note) : ""))));
  showWatch(facts.recall_watch);
}

const describeOptions = (options) =>
  Object.entries(options)
    .filter(([, value]) => ["number", "string"].includes(typeof value) && value !== 0)
    .map(([name, value]) => `${name.replaceAll("_", " ")} ${typeof value === "number" ? whole(value) : value}`);

function showWatch(watch) {
  if (!watch?.levels.length) {
    byId("watch").replaceChildren(make("p", { className: "note" }, "No query has been checked yet: a share of the queries is repeated by exact search, in the background."));
    return;
  }
  const lowest = Math.floor(Math.min(...watch.levels.flatMap(({ promised, recent }) => [promised ?? 1, recent.low])) * 10) / 10;
  byId("watch").replaceChildren(...watch.levels.map((level) => {
    const { promised, recent, alarm } = level;
    const name = promised === null ? "No promise" : `Promised ${fraction(promised)}`;
    const live = make("span", {}, make("b", {}, fraction(recent.recall)), ` [${fraction(recent.low)}, ${fraction(recent.high)}]`);
    return make("div", { className: alarm ? "level alarm" : "level" },
      make("p", {}, make("span", {}, name), live),
      interval(level, Math.min(lowest, 0.9)),
      make("p", { className: "note" }, alarm
        ? `Below the promise over ${several(recent.queries, "query", "queries")}: calibrate the index again.`
        : `${several(recent.queries, "query", "queries")} checked by exact search, ${Math.round(100 * watch.confidence)} % confidence interval`));
  }));
}

/** Draw the interval as a bar, live recall as a dot, the promise as a tick. */
function interval({ promised, recent }, lowest) {
  const x = (recall) => 1 + (98 * (recall - lowest)) / (1 - lowest);
  const parts = [
    draw("rect", { class: "track", x: 0, y: 5, width: 100, height: 2, rx: 1 }),
    draw("rect", { class: "range", x: x(recent.low), y: 4, width: Math.max(0.5, x(recent.high) - x(recent.low)), height: 4, rx: 1 }),
  ];
  if (promised !== null) parts.push(draw("rect", { class: "promise", x: x(promised) - 0.3, y: 0, width: 0.6, height: 12 }));
  parts.push(draw("rect", { class: "live", x: x(recent.recall) - 0.5, y: 2, width: 1, height: 8 }));
  return draw("svg", { viewBox: "0 0 100 12", preserveAspectRatio: "none", "aria-hidden": "true" }, ...parts);
}
