// What is known of a user: in a sentence, as a chart of tastes, and as a history.

const SHORT = 8;

const day = (iso) => new Date(iso).toLocaleDateString(undefined, { dateStyle: "medium" });
const share = (part) => `${Math.round(100 * part)}%`;

function drawUser(kind, user) {
  byId("kind-of-user").textContent = kind;
  byId("user-id").replaceChildren(quoted(shown(user)));
  document.title = `${brief(shown(user), 40)} · recexp live`;
}

/** The head of the page: who it is and how much is known. */
function drawWho(user, profile) {
  drawUser(profile ? "User" : "New user", user);
  if (!profile) {
    byId("user-facts").textContent =
      "Nothing is known of this user yet. Like or rate a few items, from the list or found by name, and the list follows.";
    return;
  }
  const { n_interactions: n, n_events: events, mean_value: mean, first, last } = profile;
  const facts = [
    `${count(n, "item")} in the history`,
    events ? `${count(events, "event")} since training` : null,
    mean === null ? null : `mean rating ${mean.toFixed(1)}`,
    first && last ? (day(first) === day(last) ? day(last) : `${day(first)} to ${day(last)}`) : null,
  ];
  byId("user-facts").textContent = facts.filter(Boolean).join(" · ");
}

/** The chart of tastes: a table whose bars repeat what its numbers say. */
function drawTastes(tastes) {
  if (!tastes.length) {
    byId("tastes").replaceChildren(make("p", { class: "soft" }, "None yet."));
    return;
  }
  const most = Math.max(...tastes.map((one) => one.share));
  const row = ({ value, n, share: part, mean_value: mean }) => {
    const bar = make("span", { class: "meter", "aria-hidden": "true" });
    bar.style.setProperty("--part", part / most);
    return make(
      "tr",
      {},
      make("th", { scope: "row" }, quoted(value)),
      make("td", { class: "chart" }, bar),
      make("td", {}, share(part)),
      make("td", {}, String(n)),
      make("td", {}, mean === null ? "–" : mean.toFixed(1)),
    );
  };
  const head = make(
    "tr",
    {},
    make("th", { scope: "col" }, hidden("Taste")),
    make("td", {}),
    ["share", "items", "mean"].map((name) => make("th", { scope: "col" }, name)),
  );
  const tables = [...new Set(tastes.map((one) => one.column))].map((column) =>
    make(
      "table",
      { class: "tastes" },
      make("caption", {}, quoted(column)),
      make("thead", {}, head.cloneNode(true)),
      make("tbody", {}, tastes.filter((one) => one.column === column).map(row)),
    ),
  );
  byId("tastes").replaceChildren(...tables);
}

const DEEDS = { like: "liked", dismiss: "dismissed", view: "viewed" };

/** One line of the history; what was said here stands out from the training data. */
function deed({ item, title, value, kind, time }) {
  const told = DEEDS[kind] ?? (value === null ? "in the data" : `rated ${rounded(value)}`);
  return make(
    "li",
    { class: kind === "training" ? "deed" : "deed live" },
    make("span", { class: "title" }, quoted(title ?? shown(item))),
    make("span", { class: "told" }, told),
    time ? make("time", { datetime: time, class: "soft" }, day(time)) : null,
  );
}

/** The history, latest first: a few, and all that the API tells on request. */
function drawHistory(history) {
  if (!history.length) {
    byId("history").replaceChildren(make("p", { class: "soft" }, "Empty so far."));
    return;
  }
  const rest = history.slice(SHORT);
  const more = rest.length
    ? [
        disclosure("history", `${rest.length} more`, (body) =>
          body.replaceChildren(make("ol", { class: "deeds" }, rest.map(deed))),
        ),
      ]
    : [];
  byId("history").replaceChildren(
    make("ol", { class: "deeds" }, history.slice(0, SHORT).map(deed)),
    ...more,
  );
}

/** The whole profile; null for a user that nothing is known of. */
function drawProfile(user, profile) {
  drawWho(user, profile);
  drawTastes(profile?.tastes ?? []);
  drawHistory(profile?.history ?? []);
}

/** The place of a profile that is asked for. */
function awaitProfile(user) {
  drawUser("User", user);
  for (const id of ["user-facts", "tastes", "history"]) byId(id).replaceChildren();
}
