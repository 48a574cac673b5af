// The lists of recommendations: what to show, one column a model, and what moved.

const SOURCES = {
  model: "from the trained model",
  fold_in: "from your history, folded in",
  popularity: "popular with everyone",
};

const FEW = 5; // filters that stand open

/** A labelled select; `options` are [value, text] pairs. */
function choice(id, label, options, change, wide = "") {
  const select = make(
    "select",
    { id, change: () => change(select.value) },
    options.map(([value, text]) => make("option", { value }, text)),
  );
  return make("div", { class: `field ${wide}` }, make("label", { for: id }, label), select);
}

/** The column that a filter is about: `genres:Comedy`, `!genres:Horror`, `year>=1990`. */
const columnOf = (filter) => filter.replace(/^!/, "").split(/:|>=|<=/)[0];

/** The filters of the address with the one that begins with `prefix` set anew; "" takes it away. */
function withFilter(prefix, value) {
  const others = readPlace().filters.filter((one) => !one.startsWith(prefix));
  return value ? [...others, prefix + value] : others;
}

/** The fields of one column: a choice of its values, or the ends of a range. */
function filterFields([column, values], i) {
  const change = (prefix) => (value) => goTo({ filters: withFilter(prefix, value) });
  if (Array.isArray(values)) {
    const options = [["", "any"], ...values.map((value) => [value, value])];
    const field = choice(`filter-${i}`, column, options, change(`${column}:`));
    field.dataset.prefix = `${column}:`;
    return [field];
  }
  return [
    [">=", "from"],
    ["<=", "to"],
  ].map(([sign, word]) => {
    const id = `filter-${i}-${word}`;
    const input = make("input", {
      id,
      type: "number",
      step: "any",
      placeholder: "any",
      change: () => change(column + sign)(input.value),
    });
    const field = make(
      "div",
      { class: "field" },
      make("label", { for: id }, `${column} ${word}`),
      input,
    );
    field.dataset.prefix = column + sign;
    return field;
  });
}

/** The choices above the lists, as the models and the address have them. */
function drawControls(models, model, place) {
  const form = byId("controls");
  const focused = form.contains(document.activeElement) ? document.activeElement.id : null;
  if (form.dataset.of !== model.name) {
    form.dataset.of = model.name;
    const fields = Object.entries(model.filters).flatMap(filterFields);
    const lengths = [...new Set([5, 10, 20, 50, place.k])].sort((a, b) => a - b);
    const names = models.map((one) => [one.name, one.name]);
    const seen = make("input", {
      id: "seen",
      type: "checkbox",
      change: () => goTo({ seen: seen.checked }),
    });
    form.replaceChildren(
      ...(models.length > 1
        ? [
            choice(
              "model",
              "Model",
              names,
              (name) =>
                goTo({
                  model: name,
                  compare: readPlace().compare === name ? null : readPlace().compare,
                }),
              "long",
            ),
            choice(
              "compare",
              "Compare with",
              [["", "nothing"], ...names],
              (name) => goTo({ compare: name || null }),
              "long",
            ),
          ]
        : []),
      ...(fields.length > FEW
        ? [
            make(
              "details",
              { open: place.filters.length > 0 },
              make("summary", {}, "Filters"),
              make("div", { class: "body" }, fields),
            ),
          ]
        : fields),
      choice(
        "length",
        "Length",
        lengths.map((k) => [k, String(k)]),
        (k) => goTo({ k: Number(k) }),
      ),
      make("label", { class: "check" }, seen, "Seen items too"),
    );
    form.onsubmit = (event) => event.preventDefault();
    if (focused) byId(focused)?.focus();
  }
  if (models.length > 1) {
    byId("model").value = model.name;
    byId("compare").value = place.compare ?? "";
    for (const option of byId("compare").options) option.disabled = option.value === model.name;
  }
  for (const field of form.querySelectorAll("[data-prefix]")) {
    const { prefix } = field.dataset;
    const set = place.filters.find((one) => one.startsWith(prefix));
    field.lastChild.value = set?.slice(prefix.length) ?? "";
  }
  byId("length").value = String(place.k);
  byId("seen").checked = place.seen;
}

/** What is new and what changed places: `before` and `after` are lists of ids, or none before. */
function movesBetween(before, after) {
  const marks = after.map(() => ({}));
  if (!before) return marks;
  const old = before.map(keyOf);
  const now = after.map(keyOf);
  // Places among those in both lists: an item that goes does not move all that stood below it.
  const stayed = old.filter((key) => now.includes(key));
  const still = now.filter((key) => old.includes(key));
  return now.map((key) =>
    old.includes(key) ? { up: stayed.indexOf(key) - still.indexOf(key) } : { isNew: true },
  );
}

/** What happened to the lists, in words. */
function changeInWords(columns) {
  const told = columns.map(({ model, marks }) => {
    const fresh = marks.filter((one) => one.isNew).length;
    const moved = marks.filter((one) => one.up).length;
    const parts = [fresh ? `${fresh} new` : null, moved ? `${moved} moved` : null].filter(Boolean);
    return { name: model.name, text: parts.join(", ") };
  });
  if (told.every((one) => !one.text))
    return told.length > 1 ? "Neither list changed." : "The list did not change.";
  if (told.length === 1) return `List updated: ${told[0].text}.`;
  return `Lists updated: ${told.map((one) => `${one.name} ${one.text || "the same"}`).join("; ")}.`;
}

/** What a model is and how it follows the events. */
function factsOf(model) {
  const { n_users: nUsers, n_items: nItems, n_events: nEvents, n_learned: nLearned } = model;
  const headline = ([name]) => name.endsWith("_at_10");
  const metrics = Object.entries(model.metrics).sort((a, b) => headline(b) - headline(a));
  const facts = {
    algorithm: model.algorithm,
    data: `${model.dataset}: ${count(nUsers, "user")}, ${count(nItems, "item")}`,
    learns: model.updates,
    events: `${count(nEvents, "event")} taken, ${nLearned.toLocaleString("en")} learned, version ${model.version}`,
    trouble: model.failure,
    ...Object.fromEntries(
      metrics.slice(0, 6).map(([name, value]) => [name.replace("_at_", "@"), value.toPrecision(3)]),
    ),
    run: model.run_id,
  };
  const rows = Object.entries(facts).filter(([, fact]) => fact);
  return make(
    "dl",
    {},
    rows.map(([name, fact]) => make("div", {}, make("dt", {}, name), make("dd", {}, quoted(fact)))),
  );
}

const lengthInWords = ({ model, answer }) => `${model.name}: ${count(answer.items.length, "item")}`;

/** What there is to know of a model, asked for anew: it learns. */
function aboutModel(model) {
  const fill = async (body) => {
    try {
      const { models: all } = await request("models");
      body.replaceChildren(factsOf(all.find((one) => one.name === model.name) ?? model));
    } catch (problem) {
      showProblem(problem);
    }
  };
  const summary = ["About this model", hidden(`: ${model.name}`)];
  return disclosure(`about ${model.name}`, summary, fill);
}

/** One model's list; `common` holds the keys of the items that all lists have. */
function drawColumn({ model, answer, marks }, i, common, context) {
  const id = `column-${i}`;
  const rows = answer.items.map((entry, place) =>
    card(entry, { ...context, model }, 4, {
      ...marks[place],
      inBoth: common.has(keyOf(entry.item)),
    }),
  );
  return make(
    "section",
    { class: "column", "aria-labelledby": id },
    make(
      "header",
      {},
      make("h3", { id }, quoted(model.name)),
      make("p", { class: `source ${answer.source}` }, SOURCES[answer.source] ?? answer.source),
      aboutModel(model),
    ),
    rows.length
      ? make("ol", { class: "cards", "data-list": id }, rows)
      : make(
          "p",
          { class: "soft", "data-list": id },
          "Nothing is left to recommend here: try another filter.",
        ),
  );
}

/** All lists side by side, and how far two agree. */
function drawColumns(columns, context) {
  const keys = columns.map(({ answer }) => answer.items.map((entry) => keyOf(entry.item)));
  const common = new Set(keys.length > 1 ? keys[0].filter((key) => keys[1].includes(key)) : []);
  byId("columns").replaceChildren(
    ...columns.map((column, i) => drawColumn(column, i, common, context)),
  );
  byId("agreement").hidden = columns.length < 2;
  byId("agreement").textContent =
    `${common.size} of ${count(Math.max(...keys.map((one) => one.length)), "item")} in both lists`;
}
