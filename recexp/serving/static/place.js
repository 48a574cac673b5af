// Where one is: the part of the address behind '#' is the only state that outlives a reload.

/** The user, models and choices that the address names. */
function readPlace() {
  const found = new URLSearchParams(location.hash.slice(1));
  const k = Number(found.get("k"));
  return {
    user: found.get("user"),
    model: found.get("model"),
    compare: found.get("compare"),
    filters: found.getAll("filter"),
    k: Number.isInteger(k) && k > 0 ? k : 10,
    seen: found.has("seen"),
  };
}

/** Go where `changes` lead: the address changes, and `hashchange` tells of it. */
function goTo(changes) {
  const place = { ...readPlace(), ...changes };
  const hash = new URLSearchParams();
  for (const name of ["user", "model", "compare"]) if (place[name]) hash.set(name, place[name]);
  for (const filter of place.filters) hash.append("filter", filter);
  if (place.k !== 10) hash.set("k", place.k);
  if (place.seen) hash.set("seen", "1");
  location.hash = hash;
}
