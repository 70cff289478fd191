// Calls of the HTTP API: API key, error envelope, and retries while the service is overloaded.

const KEY = "mrl-api-key";
const ATTEMPTS = 5;
const BUSY = [429, 503];

export class ApiError extends Error {
  /**
   * @param {number} status HTTP status; 0 if there was no answer
   * @param {string} message explanation for people
   * @param {string|null} param the option at fault
   * @param {number|null} wait milliseconds after which to try again
   */
  constructor(status, message, param = null, wait = null) {
    super(message);
    Object.assign(this, { status, param, wait });
  }
}

export const key = {
  get: () => sessionStorage.getItem(KEY),
  set: (value) => sessionStorage.setItem(KEY, value),
  forget: () => sessionStorage.removeItem(KEY),
};

/** Call once. Throws an ApiError, or the AbortError of the signal. */
export async function call(path, body, signal) {
  const headers = {};
  if (body) headers["content-type"] = "application/json";
  if (key.get()) headers.authorization = `Bearer ${key.get()}`;
  let response, answer;
  try {
    response = await fetch(path, { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body), signal });
    answer = await response.json().catch((error) => {
      if (error.name === "AbortError") throw error;
      return null; // error page of a proxy
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "The service does not respond. Is it running?");
  }
  if (response.ok && answer !== null) return answer;
  const { message, param } = answer?.error ?? {};
  throw new ApiError(response.status, message ?? `The service answered ${response.status}.`, param ?? null, waitOf(response));
}

/** Call, and retry while the service is overloaded; `waiting` receives the seconds left and the reason. */
export async function callPatiently(path, body, signal, waiting) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await call(path, body, signal);
    } catch (error) {
      if (!BUSY.includes(error.status) || attempt === ATTEMPTS) throw error;
      const until = performance.now() + (error.wait ?? 1000);
      for (let left; (left = until - performance.now()) > 0; ) {
        waiting(Math.ceil(left / 1000), error.message);
        await pause(Math.min(left, 1000), signal);
      }
    }
  }
}

function waitOf(response) {
  const exact = Number(response.headers.get("retry-after-ms"));
  const seconds = Number(response.headers.get("retry-after"));
  return exact > 0 ? exact : seconds > 0 ? seconds * 1000 : null;
}

function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, milliseconds);
    signal?.addEventListener("abort", stop, { once: true });
  });
}
