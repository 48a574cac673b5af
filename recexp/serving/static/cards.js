// One item: what it is, why it is here, and what one can say of it.

const REASONS = 3;
const STARS = 5; // more would not fit a phone
const CHOICES = 21;

const nameOf = (entry) => entry.title ?? shown(entry.item);

/** The ratings on offer: few enough for stars, or a list to choose from. */
function ratingsOf([low, high]) {
  const first = Math.ceil(low);
  const n = Math.floor(high) - first + 1;
  const whole = n > 2 && n <= CHOICES ? Array.from({ length: n }, (_, i) => first + i) : [];
  const positive = whole.filter((value) => value > 0);
  if (low >= 0 && high <= STARS && positive.length > 2) return { stars: true, values: positive };
  if (whole.length) return { stars: false, values: whole };
  const between = Array.from({ length: 9 }, (_, i) => low + ((i + 1) * (high - low)) / 10);
  return { stars: false, values: [low, ...between.map((value) => Number(rounded(value))), high] };
}

/** What the history says of each item: `said` (like or dismiss) and the latest `value`. */
function statesOf(history) {
  const states = new Map();
  for (const { item, kind, value } of history) {
    const state = states.get(keyOf(item)) ?? {};
    if (kind === "like" || kind === "dismiss") state.said ??= kind;
    state.value ??= value ?? undefined;
    states.set(keyOf(item), state);
  }
  return states;
}

/** A button for `kind` that has done its work once `done` is true. */
function actButton(kind, [todo, did], drawing, done, name, act) {
  const label = done ? did : todo;
  return make(
    "button",
    {
      type: "button",
      class: `act ${kind}`,
      "data-control": kind,
      "aria-disabled": done ? "true" : null,
      "aria-label": `${label} ${name}`,
      title: label,
      click: () => done || act(),
    },
    icon(drawing),
    make("span", {}, label),
  );
}

/** Stars as a radio group with one tab stop: arrows move, Enter or Space rates. */
function starGroup(values, chosen, name, rate) {
  const marked = values.findLastIndex((value) => value <= (chosen ?? -Infinity));
  const stars = values.map((value, i) =>
    make(
      "button",
      {
        type: "button",
        role: "radio",
        class: i <= marked ? "star-button on" : "star-button",
        "aria-checked": String(value === chosen),
        "aria-label": `${value} of ${values.at(-1)}`,
        "data-control": `rate-${value}`,
        tabindex: i === Math.max(marked, 0) ? "0" : "-1",
        click: () => rate(value),
      },
      icon("star"),
    ),
  );
  const move = (event) => {
    const steps = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
    if (!steps) return;
    event.preventDefault();
    const from = stars.indexOf(event.target.closest("button"));
    const to = stars[(from + steps + stars.length) % stars.length];
    for (const star of stars) star.tabIndex = star === to ? 0 : -1;
    to.focus();
  };
  return make(
    "div",
    { role: "radiogroup", class: "stars", "aria-label": `Rate ${name}`, keydown: move },
    stars,
  );
}

function ratingList(values, chosen, name, rate) {
  const select = make(
    "select",
    {
      "data-control": "rate",
      "aria-label": `Rate ${name}`,
      change: () => select.value && rate(Number(select.value)),
    },
    make("option", { value: "" }, "Rate…"),
    values.map((value) => make("option", { value }, rounded(value))),
  );
  if (values.includes(chosen)) select.value = String(chosen);
  return select;
}

/** Like, rate and dismiss, as far as the model takes them; `react(entry, kind, value)` sends it. */
function actions(entry, { model, states, react }) {
  const name = brief(nameOf(entry));
  const state = states.get(keyOf(entry.item)) ?? {};
  const has = (kind) => model.kinds.includes(kind);
  const rate = (value) => react(entry, "rating", value);
  const ratings = has("rating") && model.scale ? ratingsOf(model.scale) : null;
  return make(
    "div",
    { class: "actions" },
    has("like")
      ? actButton("like", ["Like", "Liked"], "heart", state.said === "like", name, () =>
          react(entry, "like"),
        )
      : null,
    ratings && (ratings.stars ? starGroup : ratingList)(ratings.values, state.value, name, rate),
    has("dismiss")
      ? actButton(
          "dismiss",
          ["Dismiss", "Dismissed"],
          "cross",
          state.said === "dismiss",
          name,
          () => react(entry, "dismiss"),
        )
      : null,
  );
}

/** The columns that one can filter by, as one line: "Action · Sci-Fi · 1977". */
function traits(entry, model) {
  const parts = Object.keys(model.filters).flatMap((name) =>
    String(entry.columns?.[name] ?? "").split("|"),
  );
  const found = parts.filter(Boolean);
  return found.length ? make("p", { class: "traits soft" }, quoted(found.join(" · "))) : null;
}

/** The reasons as one sentence, heaviest first. */
function because(reasons) {
  const shownReasons = (reasons ?? []).slice(0, REASONS);
  if (!shownReasons.length) return null;
  const sentence = make("p", { class: "because soft" });
  const named = shownReasons.filter((one) => (one.item ?? one.term ?? null) !== null);
  named.forEach((one, i) => {
    const joint = i === 0 ? "Because of " : i === named.length - 1 ? " and " : ", ";
    sentence.append(joint, make("b", {}, quoted(one.text)));
  });
  const others = shownReasons
    .filter((one) => !named.includes(one))
    .map((one) => one.text)
    .join("; ");
  if (others)
    sentence.append(named.length ? "; " : "", quoted(others[0].toUpperCase() + others.slice(1)));
  return sentence;
}

/** A badge for what moved, and one for what both lists have. */
function badges({ isNew, up, inBoth }) {
  return [
    isNew ? make("span", { class: "badge new" }, "new") : null,
    up
      ? make(
          "span",
          { class: "badge moved" },
          hidden(up > 0 ? "up " : "down "),
          make("span", { "aria-hidden": "true" }, up > 0 ? "↑" : "↓"),
          String(Math.abs(up)),
        )
      : null,
    inBoth ? make("span", { class: "badge both" }, "in both") : null,
  ];
}

const opened = new Map(); // what stands in the parts that are open, by their keys

/** A part that opens. Drawn anew under the same `key` it stays open, with what it held until it is
 * filled again. */
function disclosure(key, summary, fill, attributes = {}) {
  const body = opened.get(key) ?? make("div", { class: "body" });
  const toggle = () => {
    if (!part.open) opened.delete(key);
    if (!part.open || opened.has(key)) return;
    opened.set(key, body);
    fill(body);
  };
  const part = make(
    "details",
    { open: opened.has(key), toggle },
    make("summary", attributes, summary),
    body,
  );
  if (part.open) fill(body);
  return part;
}

/** The items most like this one, asked for when it is opened. */
function similar(entry, model) {
  const fill = async (body) => {
    try {
      const path = pathOf("items", entry.item, "similar", { k: 6, model: model.name });
      const { items } = await request(path);
      body.replaceChildren(
        make(
          "ol",
          { class: "plain" },
          items.map((one) => make("li", {}, quoted(nameOf(one)))),
        ),
      );
    } catch (problem) {
      body.replaceChildren(make("p", { class: "soft" }, quoted(problem.message)));
    }
  };
  return disclosure(
    `similar ${model.name} ${keyOf(entry.item)}`,
    ["Similar items", hidden(` to ${brief(nameOf(entry))}`)],
    fill,
    { "data-control": "similar" },
  );
}

/** One row of a list: `marks` say what moved, `level` is that of its heading. */
function card(entry, context, level, marks = {}) {
  const { model } = context;
  const score =
    entry.score === undefined
      ? null
      : make(
          "span",
          { class: "score soft", title: "Comparable within this list only" },
          "score ",
          entry.score.toPrecision(3),
        );
  return make(
    "li",
    { class: marks.isNew ? "card fresh" : "card", "data-item": keyOf(entry.item) },
    entry.rank
      ? make("span", { class: "rank soft", "aria-hidden": "true" }, String(entry.rank))
      : null,
    make(
      "div",
      { class: "about" },
      make(
        "div",
        { class: "head" },
        make(`h${level}`, {}, quoted(nameOf(entry)), " ", badges(marks)),
        score,
      ),
      traits(entry, model),
      because(entry.reasons),
    ),
    make(
      "div",
      { class: "foot" },
      actions(entry, context),
      entry.rank && model.similar_items ? similar(entry, model) : null,
    ),
  );
}
