// The search page: connects the controls, the HTTP API and the panels.

import { call, callPatiently, key } from "./api.js";
import { drawLinks, exactBadge, foundBadge, judge, verdict } from "./compare.js";
import { byId, draw, duration, make, several } from "./dom.js";
import { showFacts } from "./facts.js";
import { stopsFor } from "./front.js";
import { showFront } from "./front_panel.js";
import { describePlan, drawFunnel, fillTable, searchTime, structureName } from "./funnel.js";
import { listen } from "./keyboard.js";
import { resultList } from "./results.js";
import { hasExplicitPlan, exactBody, fromHash, parseFilter, searchBody, toHash } from "./settings.js";
import { busy, complain, disclose, say, sentence } from "./status.js";

const TYPING = 180; // milliseconds after the last key press at which a search is sent
const REFRESH = 30_000; // milliseconds between requests for the facts of the index

let settings = fromHash(location.hash);
let facts = null;
let answer = null; // of the last search
let running = null; // AbortController of the search in progress
let typing = 0;

// --- searching ---

function later() {
  clearTimeout(typing);
  typing = setTimeout(search, TYPING);
}

async function search() {
  clearTimeout(typing);
  running?.abort();
  const mine = new AbortController();
  running = mine;
  history.replaceState(null, "", toHash(settings) || location.pathname);
  complain(null);
  if (!settings.query.trim()) {
    clear();
    return;
  }
  if (!filterIsValid()) {
    disclose("filter", true);
    busy(false);
    say("The filter is not valid.");
    return;
  }
  busy(true);
  try {
    const found = await ask(searchBody(settings), mine.signal);
    answer = found;
    showAnswer(found);
    if (settings.exact) {
      facts ??= await call("/v1/index", null, mine.signal);
      const exact = await ask(exactBody(settings, facts.dimension), mine.signal);
      showComparison(found, exact);
    }
  } catch (error) {
    if (!mine.signal.aborted) {
      forgetAnswer(); // it belongs to an earlier search
      complain(error);
    }
  } finally {
    if (running === mine) busy(false);
  }
}

/** Search. An answer that arrives after the search was aborted is discarded. */
async function ask(body, signal) {
  const started = performance.now();
  const found = await callPatiently("/v1/search", body, signal, (seconds, why) => {
    say(`${sentence(why)} Trying again in ${seconds} s.`, true);
  });
  signal.throwIfAborted();
  return { ...found, roundTrip: performance.now() - started };
}

// --- showing ---

function clear() {
  forgetAnswer();
  busy(false);
  say("");
  byId("welcome").hidden = false;
}

function forgetAnswer() {
  answer = null;
  byId("lists").replaceChildren();
  byId("verdict").hidden = true;
  showPlan();
  redrawFront();
}

function listOf(hits, name, prefix, badge) {
  if (!hits.length) {
    return make("p", { className: "empty" }, settings.filter.trim() ? "No document matches the filter." : "The index is empty.");
  }
  return resultList(hits, settings.query, { name, prefix, badge, onFilter: addToFilter });
}

function showAnswer(found) {
  byId("welcome").hidden = true;
  byId("key-form").hidden = true;
  if (!settings.exact) byId("verdict").hidden = true; // otherwise it stays until the next one replaces it, so that the page does not jump
  const list = listOf(found.results, "Results", "hit");
  if (settings.exact) {
    sideBySide(found, list, make("p", { className: "empty" }, "Searching exactly…"), "…");
  } else {
    byId("lists").className = "";
    byId("lists").replaceChildren(list);
  }
  const short = found.plan.promise && !found.plan.promise.met && settings.recall !== null ? " No calibrated plan promises this recall; this one is the most accurate." : "";
  say(`${several(found.results.length, "result")} in ${duration(found.roundTrip)}, network included.${short}`);
  showPlan();
  redrawFront();
}

function sideBySide(found, left, right, time) {
  const column = (id, name, note, list) => make("div", { id, className: "column" }, make("h2", {}, name, make("small", {}, note)), list);
  const links = draw("svg", { id: "links", "aria-hidden": "true" });
  byId("lists").className = "compared";
  byId("lists").replaceChildren(
    column("found-list", "This plan", duration(searchTime(found.stages)), left), links,
    column("exact-list", "Exact search", time, right),
  );
}

function showComparison(found, exact) {
  const judgement = judge(found.results, exact.results);
  sideBySide(
    found,
    listOf(found.results, "Results of this plan", "hit", (hit) => foundBadge(judgement, hit)),
    listOf(exact.results, "Results of exact search", "exact-hit", (hit) => exactBadge(judgement, hit)),
    duration(searchTime(exact.stages)),
  );
  byId("verdict").replaceChildren(verdict(found, exact, judgement));
  byId("verdict").hidden = false;
  drawLinks();
}

function showPlan() {
  byId("stages").hidden = !answer;
  if (!answer) {
    byId("funnel").replaceChildren();
    byId("funnel").setAttribute("height", "0");
    byId("funnel").setAttribute("aria-label", "No search yet");
    byId("funnel-figure").textContent = "";
    byId("plan").textContent = "Shows the dimensions, candidates and time of each stage of a search.";
    return;
  }
  drawFunnel(answer.stages, facts?.dimension ?? Math.max(...answer.stages.map((stage) => stage.dims ?? 1)));
  fillTable(byId("stages").querySelector("table"), answer.stages);
  byId("funnel-figure").textContent = duration(answer.stages.reduce((sum, stage) => sum + stage.milliseconds, 0));
  byId("plan").textContent = describePlan(answer.plan);
}

const redrawFront = () => showFront(facts, settings, answer?.plan, choose);

function choose(i) {
  const stops = stopsFor(facts?.calibration, settings.k);
  if (hasExplicitPlan(settings) || !stops[i]) return;
  settings.recall = stops[i].recall_low;
  redrawFront();
  later();
}

// --- controls ---

function filterIsValid() {
  const field = byId("filter");
  try {
    const filter = parseFilter(settings.filter);
    byId("filter-open").classList.toggle("active", filter !== null);
    byId("filter-error").textContent = "";
    field.setAttribute("aria-invalid", "false");
    return true;
  } catch (error) {
    byId("filter-error").textContent = error.message;
    field.setAttribute("aria-invalid", "true");
    return false;
  }
}

function addToFilter(name, value) {
  let filter = {};
  try {
    filter = parseFilter(settings.filter) ?? {};
  } catch { /* an invalid filter is replaced */ }
  settings.filter = JSON.stringify({ ...filter, [name]: value });
  byId("filter").value = settings.filter;
  disclose("filter", true);
  search();
}

function fillControls() {
  for (const name of ["query", "k", "filter"]) byId(name).value = settings[name];
  byId("candidates").value = settings.candidates ?? "";
  byId("dims").value = settings.dims ?? "";
  for (const name of ["exact", "hybrid"]) byId(name).checked = settings[name];
  disclose("filter", settings.filter !== "");
  disclose("plan", hasExplicitPlan(settings));
  byId("plan-open").classList.toggle("active", hasExplicitPlan(settings));
  filterIsValid();
}

function listenToControls() {
  byId("form").addEventListener("submit", (event) => {
    event.preventDefault();
    search();
  });
  byId("query").addEventListener("input", (event) => {
    settings.query = event.target.value;
    later();
  });
  byId("k").addEventListener("input", (event) => {
    if (!event.target.validity.valid || !event.target.value) return;
    settings.k = event.target.valueAsNumber;
    redrawFront();
    later();
  });
  byId("filter").addEventListener("input", (event) => {
    settings.filter = event.target.value;
    if (filterIsValid()) later();
    else clearTimeout(typing);
  });
  for (const name of ["dims", "candidates"]) {
    byId(name).addEventListener("input", (event) => {
      if (!event.target.validity.valid) return;
      settings[name] = event.target.value ? Number(event.target.value) : null;
      if (hasExplicitPlan(settings)) settings.recall = null;
      byId("plan-open").classList.toggle("active", hasExplicitPlan(settings));
      redrawFront();
      later();
    });
  }
  for (const name of ["exact", "hybrid"]) {
    byId(name).addEventListener("change", (event) => {
      settings[name] = event.target.checked;
      search();
    });
  }
  for (const name of ["filter", "plan"]) {
    byId(`${name}-open`).addEventListener("click", () => {
      const open = byId(`${name}-field`).hidden;
      disclose(name, open);
      if (open) byId(`${name}-field`).querySelector("textarea, select").focus();
    });
  }
  byId("recall").addEventListener("input", (event) => choose(event.target.valueAsNumber));
  byId("automatic").addEventListener("click", () => {
    Object.assign(settings, { recall: null, dims: null, candidates: null });
    fillControls();
    byId("recall").focus();
    search();
  });
  byId("again").addEventListener("click", () => {
    describe();
    search();
  });
  byId("key-form").addEventListener("submit", (event) => {
    event.preventDefault();
    key.set(byId("key").value.trim());
    byId("key").value = "";
    byId("key-error").textContent = "";
    byId("key-form").hidden = true;
    describe();
    search();
  });
  byId("key-forget").addEventListener("click", () => {
    key.forget();
    location.reload();
  });
  listen(() => {
    settings.query = "";
    byId("query").value = "";
    search();
  });
  addEventListener("hashchange", () => {
    settings = fromHash(location.hash);
    fillControls();
    search();
  });
  // Drawings depend on the width, and a closed panel has none.
  let drawn = 0;
  new ResizeObserver(([{ contentRect }]) => {
    if (contentRect.width === drawn) return;
    drawn = contentRect.width;
    requestAnimationFrame(() => {
      if (answer) showPlan();
      redrawFront();
    });
  }).observe(byId("funnel-panel"));
  for (const name of ["front", "funnel"]) {
    byId(`${name}-panel`).addEventListener("toggle", () => (name === "front" ? redrawFront() : showPlan()));
  }
  new ResizeObserver(drawLinks).observe(byId("lists"));
  if (matchMedia("(max-width: 900px)").matches) for (const panel of document.querySelectorAll(".panel")) panel.open = false;
}

// --- the index ---

/** Fetch and show the facts of the index; returns whether that succeeded. */
async function describe() {
  try {
    facts = await callPatiently("/v1/index", null, undefined, (seconds, why) => say(`${sentence(why)} Trying again in ${seconds} s.`, true));
  } catch (error) {
    complain(error);
    return false;
  }
  byId("key-form").hidden = true;
  byId("key-note").hidden = !key.get();
  showFacts(facts);
  byId("hybrid-field").hidden = !facts.lexical;
  if (!facts.lexical) settings.hybrid = false;
  const own = facts.shortlist.dims;
  const sizes = [...new Set([...facts.sizes, own, facts.dimension])].sort((a, b) => a - b);
  byId("dims").replaceChildren(make("option", { value: "" }, `${own} dimensions (${structureName(facts.shortlist.kind)})`), ...sizes
    .filter((size) => size !== own)
    .map((size) => make("option", { value: String(size) }, `${size} dimensions (${size === facts.dimension ? "exact" : "scan"})`)));
  byId("dims").value = settings.dims ?? "";
  byId("welcome").replaceChildren(
    make("p", {}, `Search ${several(facts.documents, "document")} by meaning.`),
    make("p", { className: "quiet" }, `Each document is a Matryoshka embedding of ${facts.dimension} dimensions: every prefix is an embedding too. The first ${own} dimensions find candidates and all ${facts.dimension} rank them; the panels show what each stage took.`),
  );
  redrawFront();
  if (answer) showPlan();
  return true;
}

/** Fetch the facts again: documents and live recall change while the page is open. */
async function refresh() {
  if (document.hidden || !facts) return;
  try {
    facts = await call("/v1/index");
  } catch {
    return; // the next search shows the error
  }
  showFacts(facts);
  redrawFront();
}

listenToControls();
fillControls();
if ((await describe()) || settings.query) await search();
setInterval(refresh, REFRESH);
