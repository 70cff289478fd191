// List of results.

import { make } from "./dom.js";
import { marked, patternOf } from "./highlight.js";

/** Make an ordered list. `badge(hit)` may return a badge of a result, as {kind, text}. */
export function resultList(hits, query, { name, prefix, badge, onFilter }) {
  const pattern = patternOf(query);
  const items = hits.map((hit, i) => result(hit, i, pattern, `${prefix}-${i}`, badge?.(hit, i), onFilter));
  return make("ol", { className: "hits", role: "list", "aria-label": name }, ...items);
}

// Cosines need three decimals; scores of reciprocal rank fusion are of the order of 0.01.
const scoreText = (score) => (Math.abs(score) < 0.1 ? score.toPrecision(3) : score.toFixed(3));

function result(hit, rank, pattern, id, badge, onFilter) {
  const { title, text } = hit.payload;
  const heading = typeof title === "string" && title ? title : hit.id;
  const button = make(
    "button",
    { type: "button", className: "open", "aria-expanded": "false", "aria-controls": id },
    ...marked(heading, pattern),
  );
  const score = make("span", { className: "score", title: "Score" }, scoreText(hit.score));
  const item = make(
    "li",
    { className: "hit" },
    make("span", { className: "rank", "aria-hidden": "true" }, String(rank + 1)),
    make("h3", {}, button),
    score,
  );
  item.dataset.id = hit.id;
  if (typeof text === "string" && text) item.append(make("p", { className: "text" }, ...marked(text, pattern)));
  const meta = make("p", { className: "meta" }, make("code", {}, hit.id));
  if (badge) {
    item.dataset.kind = badge.kind;
    meta.append(make("span", { className: `badge ${badge.kind}` }, badge.text));
  }
  const payload = make("div", { id, className: "payload", hidden: true });
  item.append(meta, payload);

  const toggle = () => {
    const open = payload.hidden;
    if (open && !payload.childNodes.length) payload.append(fields(hit.payload, onFilter));
    payload.hidden = !open;
    button.setAttribute("aria-expanded", String(open));
    item.classList.toggle("opened", open);
  };
  button.addEventListener("click", toggle);
  item.addEventListener("click", (event) => {
    if (!event.target.closest("button, a, .payload") && !String(getSelection())) toggle();
  });
  return item;
}

function fields(payload, onFilter) {
  const names = Object.keys(payload);
  if (!names.length) return make("p", { className: "quiet" }, "No fields.");
  return make("dl", {}, ...names.map((name) => {
    const value = payload[name];
    const shown = make("dd", {}, valueOf(value));
    if (isFilterable(name, value)) {
      const button = make("button", { type: "button", className: "link", "aria-label": `Filter by ${name}: ${value}` }, "filter by this");
      button.addEventListener("click", () => onFilter(name, value));
      shown.append(" ", button);
    }
    return make("div", {}, make("dt", {}, name), shown);
  }));
}

// Filters write names with a dot or a dollar sign differently; titles and texts are no useful filters.
const isFilterable = (name, value) =>
  /^[\w-]+$/.test(name) && name !== "title" && name !== "text" &&
  ["string", "number", "boolean"].includes(typeof value) && String(value).length <= 60;

function valueOf(value) {
  if (typeof value === "string") {
    if (!/^https?:\/\/\S+$/.test(value)) return value;
    return make("a", { href: value, target: "_blank", rel: "noopener noreferrer" }, value);
  }
  return make("code", {}, JSON.stringify(value, null, 1));
}
