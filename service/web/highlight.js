// Marking the words of a query in a text, without ever making HTML of either.

import { make } from "./dom.js";

// Written without spaces between words, so that a word may begin anywhere.
const UNSPACED = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]/u;

/** A pattern with one group for the words of a query and what begins with them; null where it has none. */
export function patternOf(query) {
  const all = [...new Set(query.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [])];
  const long = all.filter((word) => word.length > 2 || /\p{N}/u.test(word) || UNSPACED.test(word)); // "of" tells nothing
  const words = (long.length ? long : all).sort((a, b) => b.length - a.length);
  if (!words.length) return null;
  const parts = words.map((word) => (UNSPACED.test(word) ? word : `(?<![\\p{L}\\p{N}])${word}`));
  return new RegExp(`(${parts.join("|")})`, "giu");
}

export function marked(text, pattern) {
  if (!pattern) return [text];
  return text.split(pattern).map((part, i) => (i % 2 ? make("mark", {}, part) : part));
}
