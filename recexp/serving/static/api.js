// Requests to the API beside this page, and the token that it may ask for.

const TOKEN = "recexp-token";
const LONGEST = 200; // characters of a search
const PATIENCE = 30_000; // milliseconds

/** What the API or the network says is wrong; `passing` if trying again may help. */
class Problem extends Error {
  constructor(message, status = 0, details = []) {
    super(message);
    this.status = status;
    this.details = details;
    this.passing = status === 0 || status === 429 || status >= 500;
  }
}

// Ids may have 64 bits, more than a number here holds exactly.
const fromJson = (text) =>
  JSON.parse(text, (_, value, context) =>
    Number.isInteger(value) && !Number.isSafeInteger(value) && /^-?\d+$/.test(context?.source)
      ? BigInt(context.source)
      : value,
  );
const toJson = (body) =>
  JSON.stringify(body, (_, value) =>
    typeof value === "bigint" ? JSON.rawJSON(String(value)) : value,
  );

/** The JSON answer. Throws Problem, or AbortError when `signal` says that nobody waits any more. */
async function request(path, { body, signal } = {}) {
  const token = sessionStorage.getItem(TOKEN);
  const options = { cache: "no-store", headers: { Accept: "application/json" } };
  options.signal = AbortSignal.any([AbortSignal.timeout(PATIENCE), ...(signal ? [signal] : [])]);
  if (token !== null) options.headers.Authorization = `Bearer ${token}`;
  if (body !== undefined) {
    options.method = "POST";
    options.headers["Content-Type"] = "application/json";
    options.body = toJson(body);
  }
  let response, text;
  try {
    response = await fetch(path, options);
    text = await response.text();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    if (error.name === "TimeoutError") throw new Problem("The server took too long to answer.");
    throw new Problem("The server cannot be reached. Is it still running?");
  }
  if (response.status === 401) {
    // Another request may have asked for it meanwhile.
    if (sessionStorage.getItem(TOKEN) === token) await askForToken(token !== null);
    return request(path, { body, signal });
  }
  let found;
  try {
    found = fromJson(text);
  } catch {
    throw new Problem(
      `The server answered ${response.status} with something else than JSON.`,
      response.status,
    );
  }
  if (!response.ok) {
    throw new Problem(
      found.detail ?? found.title ?? `status ${response.status}`,
      response.status,
      found.errors,
    );
  }
  return found;
}

let asked = null;

/** Show the token form in place of the page until a token is given. */
function askForToken(refused) {
  if (asked) return asked;
  const input = byId("token-input");
  byId("token-refused").textContent = refused ? "The server did not accept that token." : "";
  byId("token").hidden = false;
  document.body.classList.add("locked");
  input.focus();
  asked = new Promise((resolve) => {
    byId("token-form").onsubmit = (event) => {
      event.preventDefault();
      const token = input.value.trim();
      if (!/^[!-~]+$/.test(token)) {
        byId("token-refused").textContent =
          "A token has no spaces, accents or other special characters.";
        return;
      }
      sessionStorage.setItem(TOKEN, token);
      input.value = "";
      byId("token").hidden = true;
      document.body.classList.remove("locked");
      asked = null;
      resolve();
    };
  });
  return asked;
}

/** A path of the API about one user or item, whatever its id holds. */
function pathOf(kind, id, rest, query = {}) {
  const text = String(id);
  if (text === "" || text === "." || text === "..") {
    throw new Problem(`The id ${JSON.stringify(text)} cannot stand in an address.`, 400);
  }
  const found = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const one of [value].flat()) if (one !== undefined) found.append(name, one);
  }
  return `${kind}/${encodeURIComponent(text)}/${rest}?${found}`;
}

/** The answer, or null where there is no such user or item. */
async function ifKnown(answer) {
  try {
    return await answer;
  } catch (problem) {
    if (problem.status === 404) return null;
    throw problem;
  }
}
