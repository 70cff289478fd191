"use strict";

const element = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const TEXT_LENGTH = 320;
let latest = 0;

function make(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  Object.assign(node, properties);
  node.append(...children);
  return node;
}

function draw(tag, attributes, text) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

async function call(path, body) {
  const options = body && { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error("The service does not answer.");
  }
  const answer = await response.json().catch(() => null);
  if (!response.ok) throw new Error(answer?.error?.message ?? `The service answered ${response.status}.`);
  return answer;
}

function say(text, isError = false) {
  element("status").textContent = text;
  element("status").classList.toggle("error", isError);
}

function marked(text, query) {
  const words = [...new Set(query.toLowerCase().match(/[\p{L}\p{N}]{3,}/gu) ?? [])];
  if (!words.length) return [text];
  const pattern = new RegExp(`(?<![\\p{L}\\p{N}])(${words.join("|")})`, "giu");
  return text.split(pattern).map((part, i) => (i % 2 ? make("mark", {}, part) : part));
}

function result(hit, query) {
  const { title, text, ...others } = hit.payload;
  const heading = typeof title === "string" && title ? title : hit.id;
  const item = make("li", {}, make("h2", {}, make("span", {}, ...marked(heading, query)),
    make("span", { className: "score", title: "cosine" }, hit.score.toFixed(4))));
  if (typeof text === "string") {
    const short = text.length > TEXT_LENGTH ? `${text.slice(0, TEXT_LENGTH)}…` : text;
    item.append(make("p", {}, ...marked(short, query)));
  }
  const facts = make("dl");
  if (heading !== hit.id) others.id = hit.id;
  for (const [name, value] of Object.entries(others)) {
    const shown = typeof value === "string" ? value : JSON.stringify(value);
    if (value !== null && shown !== "{}") {
      facts.append(make("div", {}, make("dt", {}, name), make("dd", {}, shown.slice(0, 120))));
    }
  }
  if (facts.childNodes.length) item.append(facts);
  return item;
}

// Each stage as a shape that narrows from the candidates that go in to those that come out (logarithmic),
// and below them one bar that shows how the time was spent.
function funnel(stages) {
  const svg = element("funnel");
  const width = 800, top = 18, height = 96, left = 8, step = (width - 2 * left) / stages.length;
  svg.setAttribute("viewBox", `0 0 ${width} 208`);
  const steps = stages.filter((stage) => stage.candidates_in !== null);
  const most = Math.log10(1 + Math.max(1, ...steps.map((stage) => stage.candidates_in)));
  const half = (count) => (height / 2) * Math.max(0.06, Math.log10(1 + count) / most);
  const parts = [draw("title", { id: "funnel-title" }, stages.map((s) => `${s.name} ${s.milliseconds.toFixed(2)} ms`).join(", "))];
  const total = stages.reduce((sum, stage) => sum + stage.milliseconds, 0) || 1;
  const last = steps.at(-1);
  let x = left, time = left;
  for (const stage of stages) {
    const middle = top + height / 2;
    const [a, b] = stage.candidates_in === null
      ? (stage.name === "encode" ? [half(0), half(0)] : [half(last?.candidates_out ?? 0), half(last?.candidates_out ?? 0)])
      : [half(stage.candidates_in), half(stage.candidates_out)];
    const right = x + step - 10, center = (x + right) / 2;
    parts.push(draw("polygon", { class: "shape", points: `${x},${middle - a} ${right},${middle - b} ${right},${middle + b} ${x},${middle + a}` }));
    if (stage.candidates_in !== null) {
      parts.push(draw("text", { x: center, y: middle + 4.5 }, `${stage.candidates_in.toLocaleString("en")} → ${stage.candidates_out.toLocaleString("en")}`));
    }
    const how = [stage.structure, stage.dims && `${stage.dims} dimensions`].filter(Boolean).join(", ");
    parts.push(draw("text", { x: center, y: 136, class: "name" }, stage.name));
    parts.push(draw("text", { x: center, y: 153, class: "small" }, how));
    parts.push(draw("text", { x: center, y: 170, class: "small" }, `${stage.milliseconds.toFixed(2)} ms`));
    const share = ((width - 2 * left) * stage.milliseconds) / total;
    parts.push(draw("rect", { class: "time", x: time, y: 184, width: Math.max(0, share - 1), height: 10 }));
    time += share;
    x += step;
  }
  svg.replaceChildren(...parts);
}

async function search() {
  const query = element("query").value.trim();
  if (!query) return;
  const mine = ++latest;
  const body = { query, explain: true };
  for (const name of ["k", "dims", "candidates"]) {
    const value = element(name).value;
    if (value) body[name] = Number(value);
  }
  say("Searching…");
  const started = performance.now();
  try {
    const answer = await call("/v1/search", body);
    if (mine !== latest) return; // a later search has been sent meanwhile
    const milliseconds = performance.now() - started;
    element("results").replaceChildren(...answer.results.map((hit) => result(hit, query)));
    funnel(answer.stages);
    const { structure, dims, candidates, rerank_dims } = answer.plan;
    element("plan").textContent = structure === "scan" && dims === rerank_dims
      ? `One exact search over ${dims} dimensions.`
      : `${structure === "scan" ? "A scan" : `The ${structure} structure`} over ${dims} dimensions proposed ${candidates.toLocaleString("en")} documents; ${rerank_dims} dimensions ranked them.`;
    element("stages").hidden = false;
    say(`${answer.results.length} results in ${milliseconds.toFixed(0)} ms, network included`);
    history.replaceState(null, "", `#${encodeURIComponent(query)}`);
  } catch (error) {
    if (mine !== latest) return;
    element("stages").hidden = true;
    element("results").replaceChildren();
    say(error.message, true);
  }
}

async function describe() {
  const facts = await call("/v1/index");
  const own = facts.shortlist.dims;
  element("facts").textContent = `${facts.documents.toLocaleString("en")} documents, ${facts.dimension} dimensions, generation ${Number(facts.generation)}`;
  const sizes = [...new Set([...facts.sizes, own, facts.dimension])].sort((a, b) => a - b);
  element("dims").replaceChildren(...sizes.map((size) => {
    const how = size === own ? facts.shortlist.kind : size === facts.dimension ? "exact" : "scan";
    return make("option", { value: size === own ? "" : size, textContent: `${size} dimensions (${how})`, selected: size === own });
  }));
}

element("form").addEventListener("submit", (event) => {
  event.preventDefault();
  search();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && !/^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName)) {
    event.preventDefault();
    element("query").select();
  }
});

describe().catch((error) => say(error.message, true)).then(() => {
  try {
    element("query").value = decodeURIComponent(location.hash.slice(1));
  } catch { /* not a query of ours */ }
  search();
});
