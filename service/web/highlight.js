// Highlighting the words of a query in a text, without ever interpreting either as HTML.

import { make } from "./dom.js";

// Scripts without spaces between words, where a word may begin anywhere.
const UNSPACED = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]/u;

/** Return a pattern, with one group, for words that begin with a word of the query; null if the query has no words. */
export function patternOf(query) {
  const all = [...new Set(query.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [])];
  const long = all.filter((word) => word.length > 2 || /\p{N}/u.test(word) || UNSPACED.test(word)); // skip "of" and the like
  const words = (long.length ? long : all).sort((a, b) => b.length - a.length);
  if (!words.length) return null;
  const parts = words.map((word) => (UNSPACED.test(word) ? word : `(?<![\\p{L}\\p{N}])${word}`));
  return new RegExp(`(${parts.join("|")})`, "giu");
}

export function marked(text, pattern) {
  if (!pattern) return [text];
  return text.split(pattern).map((part, i) => (i % 2 ? make("mark", {}, part) : part));
}
