// Stages of a search as a funnel: a row for each, with its dimensions, candidates and time.

import { byId, draw, duration, make, several, whole } from "./dom.js";

const ROW = 58;
const LOW_ROW = 38; // of a stage with neither dimensions nor candidates
const GAP = 4;
const LABELS = 104; // width of the column of names and dimensions
const TIMES = 74;
const NARROWEST = 22; // half the width for no candidates, so that every label has room
const CELLS = 32; // of the drawn vector

const STRUCTURES = { scan: "scan", flat: "flat", hnsw: "HNSW graph", cagra: "CAGRA graph", ivf: "inverted lists", symqg: "SymphonyQG graph", bm25: "BM25" };
export const structureName = (kind) => STRUCTURES[kind] ?? kind;

/** Return the milliseconds of searching: without encoding the query and fetching documents, which all plans share. */
export const searchTime = (stages) =>
  stages.filter(({ name }) => name !== "encode" && name !== "documents").reduce((sum, stage) => sum + stage.milliseconds, 0);

/** Draw the stages; widths are counts on a logarithmic scale, and the colour is deeper with more dimensions. */
export function drawFunnel(stages, dimension) {
  const svg = byId("funnel");
  const width = Math.max(300, svg.clientWidth);
  const left = LABELS, room = width - LABELS - TIMES, middle = left + room / 2;
  const most = Math.log1p(Math.max(1, ...stages.flatMap((s) => [s.candidates_in ?? 0, s.candidates_out ?? 0])));
  const half = (count) => NARROWEST + ((room / 2 - 6 - NARROWEST) * Math.log1p(count)) / most;
  const longest = Math.max(...stages.map((stage) => stage.milliseconds)) || 1;
  const prefix = stages.find((stage) => stage.name !== "encode" && stage.dims !== null)?.dims ?? dimension;
  let height = 0;
  const rows = stages.map((stage) => {
    const y = height;
    height += (stage.dims === null && stage.candidates_in === null ? LOW_ROW : ROW) + GAP;
    const row = draw("g", { class: `stage ${kindOf(stage)}`, "data-stage": stage.name, transform: `translate(0 ${y})` });
    row.append(draw("text", { x: 0, y: 20, class: "name" }, stage.name));
    const size = LABELS - 16;
    if (stage.dims !== null) {
      row.append(
        draw("rect", { class: "track", x: 0, y: 28, width: size, height: 4, rx: 2 }),
        draw("rect", { class: "dims", x: 0, y: 28, width: (size * stage.dims) / dimension, height: 4, rx: 2 }),
        draw("text", { x: 0, y: 47, class: "small" }, `${stage.dims} of ${dimension} dim`),
      );
    } else if (stage.structure) {
      row.append(draw("text", { x: 0, y: 38, class: "small" }, structureName(stage.structure)));
    }
    row.append(...shape(stage, middle, half, room, prefix / dimension, dimension), ...time(stage, width, longest));
    return row;
  });
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("height", height);
  svg.setAttribute("aria-label", `${stages.map(inWords).join("; ")}.`);
  svg.replaceChildren(...rows);
}

function kindOf({ name, dims }) {
  if (name === "encode" || name === "documents") return "outer";
  return name === "lexical" ? "words" : dims === null ? "plain" : "vectors";
}

function shape(stage, middle, half, room, prefix, dimension) {
  const { candidates_in: before, candidates_out: after } = stage;
  const center = { x: middle, y: ROW / 2 + 5, class: "count" };
  if (before === null && after === null) {
    if (stage.name === "encode") return vector(middle, room - 12, prefix);
    return [draw("text", { ...center, y: 20, class: "count small" }, stage.name === "documents" ? "payloads fetched" : "")];
  }
  const [a, b] = [half(before ?? after), half(after ?? before)];
  const depth = stage.dims === null ? 0.22 : 0.14 + (0.36 * stage.dims) / dimension;
  const points = `${middle - a},0 ${middle + a},0 ${middle + b},${ROW} ${middle - b},${ROW}`;
  const counts = [before, after].filter((count) => count !== null).map(whole).join(" → ");
  const drawn = [draw("polygon", { class: "shape", points, "fill-opacity": depth }), draw("text", center, counts)];
  if (stage.read !== null && stage.read < before) {
    center.y = ROW / 2 - 1;
    drawn[1].setAttribute("y", center.y);
    drawn.push(draw("text", { x: middle, y: ROW / 2 + 15, class: "count small" }, `${whole(Math.round(stage.read))} read`));
  }
  return drawn;
}

/** Draw the query vector as a strip of cells; the cells of the shortlist's prefix have full colour. */
function vector(middle, width, prefix) {
  const cell = width / CELLS;
  return Array.from({ length: CELLS }, (_, i) => draw("rect", {
    class: (i + 0.5) / CELLS < prefix ? "cell prefix" : "cell", x: middle - width / 2 + i * cell, y: 20, width: cell - 1.5, height: 20, rx: 1,
  }));
}

function time(stage, width, longest) {
  const size = TIMES - 10;
  const share = Math.max(1, (size * stage.milliseconds) / longest);
  return [
    draw("text", { x: width, y: 20, class: "time" }, duration(stage.milliseconds)),
    draw("rect", { class: "track", x: width - size, y: 28, width: size, height: 4, rx: 2 }),
    draw("rect", { class: "spent", x: width - share, y: 28, width: share, height: 4, rx: 2 }),
  ];
}

function inWords(stage) {
  const parts = [stage.name];
  if (stage.dims !== null) parts.push(several(stage.dims, "dimension"));
  if (stage.candidates_in !== null) parts.push(`${whole(stage.candidates_in)} to ${whole(stage.candidates_out ?? 0)} candidates`);
  parts.push(duration(stage.milliseconds));
  return parts.join(", ");
}

const COLUMNS = [
  ["Stage", (s) => s.name],
  ["Structure", (s) => (s.structure ? structureName(s.structure) : "–")],
  ["Dimensions", (s) => s.dims ?? "–"],
  ["In", (s) => (s.candidates_in === null ? "–" : whole(s.candidates_in))],
  ["Out", (s) => (s.candidates_out === null ? "–" : whole(s.candidates_out))],
  ["Second look", (s) => (s.again === null ? "–" : `${Math.round(100 * s.again)} %`)],
  ["Read", (s) => (s.read === null ? "–" : s.read.toFixed(1))],
  ["Certified", (s) => (s.certified === null ? "–" : `${Math.round(100 * s.certified)} %`)],
  ["ms", (s) => s.milliseconds.toFixed(4)],
];

export function fillTable(table, stages) {
  table.tHead.replaceChildren(make("tr", {}, ...COLUMNS.map(([name]) => make("th", { scope: "col" }, name))));
  table.tBodies[0].replaceChildren(
    ...stages.map((stage) => make("tr", {}, ...COLUMNS.map(([, value], i) => (
      i ? make("td", {}, String(value(stage))) : make("th", { scope: "row" }, value(stage))
    )))),
  );
}

/** Describe a plan in a sentence or two. */
export function describePlan({ structure, dims, candidates, rerank_dims: last, effort, stages, stop, second_look: look, promise }) {
  let text;
  if (structure === "scan" && dims === last) {
    text = `Exact search over all rows at ${several(dims, "dimension")}.`;
  } else {
    const by = structure === "scan" ? "A scan" : `The ${structureName(structure)}`;
    const between = stages.slice(0, -1).map((stage) => `reranking at ${stage.dims} dimensions keeps ${whole(stage.keep)}`);
    text = `${by} over ${several(dims, "dimension")} finds ${several(candidates, "candidate")}` +
      `${effort === null ? "" : ` at effort ${whole(effort)}`}; ${[...between, `${last} dimensions rank them`].join(", ")}.`;
  }
  if (look) text += ` Queries without a near result are searched a second time, at effort ${whole(look.effort)}.`;
  if (stop !== null) text += stop === "certified" ? " The rerank stops once the result is certified." : " The rerank stops early once scores have dropped far enough.";
  if (promise) text += ` Promised recall: at least ${promise.recall_low.toFixed(3)}.`;
  return text;
}
