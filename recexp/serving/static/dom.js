// Elements, announcements, and keeping the keyboard's place when a list is drawn anew.

const byId = (id) => document.getElementById(id);

/** An element; attributes that are functions are listeners, texts among the children stay text. */
function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (typeof value === "function") node.addEventListener(name, value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== undefined && child !== null));
  return node;
}

const icon = (name) => byId("icons").content.querySelector(`.${name}`).cloneNode(true);

/** Text that only a screen reader is told. */
const hidden = (text) => make("span", { class: "hidden" }, text);

/** A text of the data, apart from its surroundings: it may run from right to left. */
const quoted = (text) => make("bdi", {}, text);

/** An id as text; what cannot be seen is put in quotes. */
const shown = (id) => (String(id).trim() ? String(id) : JSON.stringify(id));

/** At most `n` characters of a text, for names that are read aloud. */
const brief = (text, n = 80) => (text.length > n ? `${text.slice(0, n)}…` : text);

const count = (n, one, many = `${one}s`) => `${n.toLocaleString("en")} ${n === 1 ? one : many}`;

/** A number with three digits that count: 4, 0.333. */
const rounded = (value) => String(Number(value.toPrecision(3)));

/** Ids 1 and "1" are two. */
const keyOf = (id) => `${typeof id} ${id}`;

let fading;

/** Say what changed: seen at the foot of the page for a while, and read aloud. */
function announce(text) {
  byId("status").textContent = text;
  byId("status").classList.toggle("on", text !== "");
  clearTimeout(fading);
  fading = setTimeout(() => byId("status").classList.remove("on"), 6000);
}

/** Say to a screen reader what the eye sees anyway. */
function whisper(text) {
  byId("whisper").textContent = text;
}

/** Show a problem, its details, and a way to try again where that may help. */
function showProblem(problem, again) {
  if (problem.name === "AbortError") return;
  if (!(problem instanceof Problem)) console.error(problem);
  if (byId("alert").textContent.startsWith(problem.message)) return; // it is being read
  const details = (problem.details ?? []).filter((one) => !problem.message.includes(one.message));
  const retry = make(
    "button",
    {
      type: "button",
      click: () => {
        clearProblem();
        again();
      },
    },
    "Try again",
  );
  byId("alert").replaceChildren(
    make(
      "div",
      { class: "notice" },
      make("p", {}, quoted(problem.message)),
      details.length
        ? make(
            "ul",
            {},
            details.map((one) => make("li", {}, quoted(`${one.location}: ${one.message}`))),
          )
        : null,
      make(
        "div",
        { class: "actions" },
        again && problem.passing ? retry : null,
        make("button", { type: "button", click: clearProblem }, "Close message"),
      ),
    ),
  );
}

function clearProblem() {
  byId("alert").replaceChildren();
}

/** Call `draw`, then put the focus back: on the same control, or on its neighbor if it went. */
function keepingFocus(draw) {
  const before = document.activeElement;
  const list = before?.closest("[data-list]")?.dataset.list;
  const row = before?.closest("[data-item]");
  const place = row ? [...row.parentElement.children].indexOf(row) : 0;
  const name = before?.dataset.control;
  draw();
  if (list === undefined || before.isConnected) return;
  const parent = document.querySelector(`[data-list="${CSS.escape(list)}"]`);
  const rows = [...(parent?.querySelectorAll("[data-item]") ?? [])];
  const same = rows.find((one) => one.dataset.item === row?.dataset.item);
  const next = same ?? rows[Math.min(place, rows.length - 1)];
  const control =
    next?.querySelector(`[data-control="${CSS.escape(name ?? "")}"]`) ??
    next?.querySelector("[data-control]") ??
    byId("recommended-title");
  control.focus();
}
