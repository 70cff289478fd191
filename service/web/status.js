// Messages of the page: the status line, errors beside their controls, and the form for an API key.

import { ApiError, key } from "./api.js";
import { byId } from "./dom.js";

export const sentence = (text) => (/[.!?]$/.test(text) ? text : `${text}.`);

export function say(text, bad = false) {
  byId("status").textContent = text;
  byId("status").classList.toggle("bad", bad);
}

export function busy(on) {
  byId("progress").hidden = !on;
  byId("found").setAttribute("aria-busy", String(on));
}

/** Open or close the drawer of a control. */
export function disclose(name, open) {
  byId(`${name}-open`).setAttribute("aria-expanded", String(open));
  byId(`${name}-field`).hidden = !open;
}

/** Show an error beside the control it is about, or clear all errors. */
export function complain(error) {
  byId("notice").hidden = true;
  byId("filter-error").textContent = "";
  byId("plan-error").textContent = "";
  if (!error) return;
  if (!(error instanceof ApiError)) throw error;
  if (error.status === 401) {
    byId("key-error").textContent = key.get() ? error.message : "";
    byId("key-form").hidden = false;
    say("");
    return;
  }
  const inPlace = { filter: "filter", dims: "plan", candidates: "plan" }[error.param?.split(".")[0]];
  if (inPlace) {
    byId(`${inPlace}-error`).textContent = error.message;
    disclose(inPlace, true);
    say("The search was rejected.", true);
    return;
  }
  say("");
  byId("notice").querySelector("p").textContent = sentence(error.message);
  byId("notice").hidden = false;
}
