// The page: the address says who and what, the API says the rest, and feedback asks it again.

const PAUSE = 1000; // milliseconds, until a server that catches up is asked again
const LEARNING = 600; // milliseconds that a model which learns from events is given for it

let models = [];
let place = {};
let user = null; // as the data has it: 196, not "196"
let columns = []; // of what is shown: {model, answer, marks, of}
let states = new Map();
let found = null; // what the item search found
let loading = null;

const modelNow = () => models.find((one) => one.name === place.model) ?? models[0];
const openUser = (id) => goTo({ user: String(id) });

/** Ask once for what does not change, then follow the address. */
async function begin() {
  try {
    const [{ models: all }, { users, n_users: nUsers }] = await Promise.all([
      request("models"),
      request("users?limit=8"),
    ]);
    models = all;
    someUsers = users;
    const { algorithm, dataset, n_items: nItems } = models[0];
    byId("start-facts").textContent =
      `${algorithm} on ${dataset}: ${count(nUsers, "user")}, ${count(nItems, "item")}.`;
  } catch (problem) {
    const catchingUp = problem.status === 503;
    if (catchingUp) setTimeout(begin, PAUSE);
    showProblem(problem, catchingUp ? null : begin);
    return;
  }
  drawSomeUsers(openUser);
  addEventListener("hashchange", arrive);
  await arrive();
}

/** Show what the address names. */
async function arrive() {
  const before = place.user;
  place = readPlace();
  const moved = place.user !== before;
  clearProblem();
  announce("");
  byId("start").hidden = place.user !== null;
  byId("person").hidden = place.user === null;
  if (place.user === null) {
    loading?.abort();
    document.title = "recexp live";
    return;
  }
  if (moved) {
    user = typedId(place.user);
    columns = [];
    opened.clear();
    closeFound();
    awaitProfile(user);
    byId("columns").replaceChildren();
    if (before !== undefined) {
      scrollTo(0, 0);
      byId("who").focus();
    }
  }
  drawControls(models, modelNow(), place);
  await load();
}

/** Ask for the profile and the lists and draw them, with what moved `since` these were shown.
 * `said` is what the user just did. */
async function load(said, since = columns) {
  loading?.abort();
  const mine = (loading = new AbortController());
  byId("recommended").setAttribute("aria-busy", "true");
  try {
    const model = modelNow();
    const other = models.find((one) => one.name === place.compare && one !== model);
    const profile = await ifKnown(
      request(pathOf("users", user, "profile", { model: model.name }), mine),
    );
    user = profile?.user ?? user;
    states = statesOf(profile?.history ?? []);
    drawProfile(user, profile);
    const shownModels = other ? [model, other] : [model];
    const answers = await Promise.all(
      shownModels.map((one) => recommend(one, profile !== null, mine.signal)),
    );
    columns = answers.map((answer, i) => asColumn(shownModels[i], answer, since));
    keepingFocus(() => {
      drawFound();
      drawColumns(columns, { states, react: feedback });
    });
    if (said) announce(`${said} ${changeInWords(columns)}`);
    else whisper(columns.map(lengthInWords).join("; "));
  } catch (problem) {
    showProblem(problem, () => load(said, since));
  } finally {
    if (loading === mine) byId("recommended").removeAttribute("aria-busy");
  }
}

/** The list of one model; popular items for a user that it does not know. */
async function recommend(model, known, signal) {
  const { k, seen, filters: all } = place;
  const filters = all.filter((one) => columnOf(one) in model.filters);
  const query = { k, exclude_seen: !seen, filter: filters, model: model.name, reasons: true };
  const answer = known
    ? await ifKnown(request(pathOf("users", user, "recommendations", query), { signal }))
    : null;
  return answer ?? request("recommendations", { body: { ...query, history: [] }, signal });
}

const idsOf = (answer) => answer.items.map((entry) => entry.item);

/** An answer with what moved since the same list was shown. */
function asColumn(model, answer, since) {
  const of = JSON.stringify([model.name, place.k, place.seen, place.filters]);
  const before = since.find((one) => one.of === of);
  return { model, answer, of, marks: movesBetween(before && idsOf(before.answer), idsOf(answer)) };
}

const SAID = {
  like: () => "Liked",
  dismiss: () => "Dismissed",
  rating: (value) => `Rated ${rounded(value)}:`,
};
const sending = new Set();

/** Send feedback; its id lets it be sent again without being counted twice. */
async function feedback(entry, kind, value) {
  const id = [...crypto.getRandomValues(new Uint32Array(4))]
    .map((word) => word.toString(16))
    .join("-");
  await send(
    { id, user, item: entry.item, kind, value },
    `${SAID[kind](value)} ${brief(nameOf(entry), 60)}.`,
  );
}

async function send(event, said) {
  const same = `${event.kind} ${event.value} ${keyOf(event.item)}`;
  if (sending.has(same)) return;
  sending.add(same);
  try {
    await request("events", { body: event });
    if (event.user !== user) return;
    const before = columns;
    await load(said, before);
    const after = columns;
    if (!after.some((one) => one.model.policy === "incremental")) return;
    setTimeout(() => columns === after && load(said, before), LEARNING);
  } catch (problem) {
    showProblem(problem, () => send(event, said));
  } finally {
    sending.delete(same);
  }
}

/** Search items as one types. */
function searchItems() {
  const input = byId("find-input");
  let waiting = null;
  const search = async () => {
    waiting?.abort();
    const text = input.value.trim();
    if (!text) {
      closeFound();
      return;
    }
    waiting = new AbortController();
    try {
      const { items } = await request(
        `items?${new URLSearchParams({ search: text.slice(0, LONGEST), limit: 6 })}`,
        waiting,
      );
      found = { text, items };
      drawFound();
      whisper(`${count(items.length, "item")} found`);
    } catch (problem) {
      showProblem(problem, search);
    }
  };
  input.addEventListener("input", search);
  byId("find-form").addEventListener("submit", (event) => {
    event.preventDefault();
    search();
  });
}

function drawFound() {
  if (!found) {
    byId("found").replaceChildren();
    return;
  }
  const context = { model: modelNow(), states, react: feedback };
  const close = make(
    "button",
    {
      type: "button",
      class: "quiet",
      click: () => {
        closeFound();
        byId("find-input").focus();
      },
    },
    "Close results",
  );
  byId("found").replaceChildren(
    found.items.length
      ? make(
          "ul",
          { class: "cards compact" },
          found.items.map((entry) => card(entry, context, 3)),
        )
      : make(
          "p",
          { class: "soft" },
          "No item has “",
          quoted(brief(found.text)),
          "” in its title or at the start of its id.",
        ),
    close,
  );
}

function closeFound() {
  found = null;
  byId("find-input").value = "";
  drawFound();
}

searchUsers(openUser);
searchItems();
for (const id of ["new-user", "start-new"])
  byId(id).addEventListener("click", () => openUser(newId()));
byId("skip").addEventListener("click", (event) => {
  event.preventDefault();
  byId("main").focus();
});
byId("to-profile").addEventListener("click", () => byId("profile").focus());
begin();
