// Settings of a search: read from the address, written to it, and turned into requests.

const NAMES = { query: "q", k: "k", recall: "recall", dims: "dims", candidates: "candidates", filter: "filter", hybrid: "hybrid", exact: "exact" };

export const DEFAULTS = Object.freeze({
  query: "", k: 10, recall: null, dims: null, candidates: null, filter: "", hybrid: false, exact: false,
});

/** Read settings from the fragment of an address; invalid values keep their defaults. */
export function fromHash(hash) {
  const given = new URLSearchParams(hash.replace(/^#/, ""));
  const settings = { ...DEFAULTS };
  for (const [name, short] of Object.entries(NAMES)) {
    const value = given.get(short);
    if (value === null) continue;
    if (name === "query" || name === "filter") settings[name] = value;
    else if (typeof DEFAULTS[name] === "boolean") settings[name] = value === "1";
    else if (Number(value) > 0) settings[name] = name === "recall" ? Math.min(1, Number(value)) : Math.round(Number(value)) || 1;
  }
  return settings;
}

export function toHash(settings) {
  const given = new URLSearchParams();
  for (const [name, short] of Object.entries(NAMES)) {
    const value = settings[name];
    if (value !== DEFAULTS[name]) given.set(short, value === true ? "1" : value);
  }
  const text = given.toString();
  return text && `#${text}`;
}

export const hasExplicitPlan = (settings) => settings.dims !== null || settings.candidates !== null;

/** Parse a filter; null if it is blank. Throws an Error with a message for people. */
export function parseFilter(text) {
  if (!text.trim()) return null;
  let value;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Error(`Not valid JSON: ${error.message}`, { cause: error });
  }
  if (value === null || typeof value !== "object" || Array.isArray(value)) {
    throw new Error('Give an object, such as {"year": 1990}.');
  }
  return value;
}

function common(settings) {
  const body = { query: settings.query.trim(), k: settings.k, explain: true };
  const filter = parseFilter(settings.filter);
  if (filter) body.filter = filter;
  if (settings.hybrid) body.hybrid = true;
  return body;
}

export function searchBody(settings) {
  const body = common(settings);
  for (const name of hasExplicitPlan(settings) ? ["dims", "candidates"] : ["recall"]) {
    if (settings[name] !== null) body[name] = settings[name];
  }
  return body;
}

/** Exact search: a shortlist over all dimensions is the final ranking. */
export const exactBody = (settings, dimension) => ({ ...common(settings), dims: dimension });
