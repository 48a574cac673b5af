// Choosing a user: the search box in the bar, and ids for new ones.

let someUsers = [];

const wholeNumbers = () =>
  someUsers.length > 0 && someUsers.every((one) => typeof one.user !== "string");

/** A fresh id of the kind that the data has. */
function newId() {
  const [random] = crypto.getRandomValues(new Uint32Array(1));
  return wholeNumbers() ? String(1_000_000_000 + random) : `new-${random.toString(36)}`;
}

/** The id that an address or a person wrote, of the type that the data has. */
function typedId(text) {
  if (!wholeNumbers() || !/^-?\d+$/.test(text)) return text;
  return Number.isSafeInteger(Number(text)) ? Number(text) : BigInt(text);
}

/** Make the search box a combobox: type, then arrows and Enter, or click; Enter alone takes the text. */
function searchUsers(choose) {
  const input = byId("user-input");
  const list = byId("user-options");
  let active = -1;
  let waiting = null;

  const close = () => {
    waiting?.abort();
    list.hidden = true;
    active = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  };
  const pick = (user) => {
    close();
    input.value = "";
    choose(user);
  };
  const point = (index) => {
    const options = [...list.querySelectorAll("[role=option]:not([aria-disabled])")];
    if (!options.length) return;
    active = (index + options.length) % options.length;
    options.forEach((option, i) => option.setAttribute("aria-selected", String(i === active)));
    input.setAttribute("aria-activedescendant", options[active].id);
    options[active].scrollIntoView({ block: "nearest" });
  };
  const option = ({ user, n_interactions: n }, i) =>
    make(
      "li",
      { id: `user-${i}`, role: "option", "aria-selected": "false", click: () => pick(user) },
      make("span", { class: "id" }, quoted(shown(user))),
      " ",
      make("span", { class: "soft" }, count(n, "interaction")),
    );
  const search = async () => {
    waiting?.abort();
    waiting = new AbortController();
    const query = new URLSearchParams({ search: input.value.trim().slice(0, LONGEST), limit: 20 });
    try {
      const { users } = await request(`users?${query}`, { signal: waiting.signal });
      active = -1;
      input.removeAttribute("aria-activedescendant");
      const none = make(
        "li",
        { role: "option", "aria-disabled": "true", class: "soft" },
        "No such user. Enter opens it as a new one.",
      );
      list.replaceChildren(...(users.length ? users.map(option) : [none]));
      list.hidden = false;
      input.setAttribute("aria-expanded", "true");
      whisper(`${count(users.length, "user")} found`);
    } catch (problem) {
      showProblem(problem, search);
    }
  };

  input.addEventListener("input", search);
  input.addEventListener("click", search);
  input.addEventListener("blur", close);
  list.addEventListener("pointerdown", (event) => event.preventDefault()); // the focus stays in the box
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (list.hidden) search();
      else point(event.key === "ArrowDown" ? active + 1 : Math.max(active, 0) - 1);
    } else if (event.key === "Enter") {
      const chosen = list.hidden || active < 0 ? null : list.children[active];
      if (chosen) chosen.click();
      else if (input.value.trim()) pick(input.value.trim());
    } else if (event.key === "Escape") {
      close();
    }
  });
}

/** Offer a few users to begin with. */
function drawSomeUsers(choose) {
  const chips = someUsers.map(({ user, n_interactions: n }) =>
    make(
      "li",
      {},
      make(
        "button",
        { type: "button", class: "chip", click: () => choose(user) },
        make("span", { class: "id" }, quoted(shown(user))),
        " ",
        make("span", { class: "soft" }, count(n, "interaction")),
      ),
    ),
  );
  byId("some-users").replaceChildren(...chips);
}
