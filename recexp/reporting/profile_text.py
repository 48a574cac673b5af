"""A data profile as plain text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from recexp.reporting.tables import align


def profile_rows(profile: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what a profile says in short, as pairs of a name and a value."""
    rows = [
        ("interactions", f"{profile['n_interactions']:,}"),
        ("users", f"{profile['n_users']:,}{_idle(profile['idle_users'])}"),
        ("items", f"{profile['n_items']:,}{_idle(profile['idle_items'])}"),
        ("density", f"{profile['density']:.4%} of all pairs"),
    ]
    if profile["repeated_pairs"]:
        rows.append(("repeated pairs", f"{profile['repeated_pairs']:,} interactions"))
    if (values := profile["values"]) is None:
        rows.append(("ratings", "none"))
    else:
        low, high = values["scale"]
        rows += [
            ("ratings", f"{low:g} to {high:g}; mean {values['mean']:.3f}, sd {values['std']:.3f}"),
            (
                "relevant",
                f"{values['positive_share']:.1%} of the ratings, "
                f"those from {profile['relevance_threshold']:g} on",
            ),
        ]
    for side, one in (("users", "user"), ("items", "item")):
        mine = profile[side]
        rows.append(
            (
                f"per {one}",
                f"{mine['min']:,} to {mine['max']:,}; "
                f"median {mine['median']:,g}, mean {mine['mean']:,.1f}",
            )
        )
    rows += [
        (
            "long tail",
            f"the top 20 % of the items have {profile['items']['head_share']:.1%} of the "
            f"interactions; Gini {profile['items']['gini']:.3f} "
            f"(users {profile['users']['gini']:.3f})",
        ),
        (
            "cold start",
            f"{profile['users']['few_share']:.1%} of the users and "
            f"{profile['items']['few_share']:.1%} of the items have fewer than 5 interactions",
        ),
    ]
    if (time := profile["time"]) is None:
        rows.append(("time", "unknown: no timestamps"))
    else:
        span = f"{time['first'][:10]} to {time['last'][:10]}, {time['days']:,.1f} days"
        rows.append(("time", f"{span}; {time['per_day']:,.1f} interactions a day"))
    for side in ("user", "item"):
        columns = profile[f"{side}_columns"]
        said = [f"{name} ({one['known']:.0%} known)" for name, one in columns.items()]
        said += [f"{n:,} features"] if (n := profile[f"{side}_features"]) else []
        rows.append((f"{side}s have", ", ".join(said) or "no columns, no features"))
    return rows


def profile_table(profile: Mapping[str, Any]) -> str:
    """Return a profile as lines of a name and a value."""
    width = max(len(name) for name, _ in profile_rows(profile))
    return "\n".join(f"{name:{width}}  {value}" for name, value in profile_rows(profile))


def split_rows(surveyed: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """Return what each split leaves (see `recexp.profiling.survey`), with a row of headings."""
    rows = [["split", "train", "test", "evaluated", "cold users", "cold items", "future"]]
    for name, one in surveyed.items():
        if one["possible"]:
            future = one["users_with_future_training_share"]
            rows.append(
                [
                    name,
                    f"{one['n_train']:,}",
                    f"{one['n_test']:,}",
                    f"{one['evaluated_users']:,}",
                    f"{one['cold_user_interaction_share']:.1%}",
                    f"{one['cold_item_interaction_share']:.1%}",
                    "-" if future is None else f"{future:.0%}",
                ]
            )
    return rows


SPLIT_NOTE = (
    "evaluated: test users with a relevant item; cold: share of the test interactions whose user "
    "(item) training has not seen;\nfuture: share of the test users trained on what came after "
    "something they are tested on"
)


def split_table(surveyed: Mapping[str, Mapping[str, Any]]) -> str:
    """Return what each split leaves as an aligned table, and why others are not possible."""
    lines = [align(split_rows(surveyed)), SPLIT_NOTE]
    lines += [
        f"not possible: {name}: {one['why']}"
        for name, one in surveyed.items()
        if not one["possible"]
    ]
    return "\n".join(lines)


def user_table(user: Mapping[str, Any]) -> str:
    """Return the profile of a user (see `UserProfiles.of`) as plain text."""
    said = ", ".join(f"{name} {value}" for name, value in user["columns"].items())
    span = f", {user['first'][:10]} to {user['last'][:10]}" if "first" in user else ""
    lines = [f"user {user['user']}: {user['n_interactions']:,} interactions{span}"]
    lines += [f"  {said}"] if said else []
    for name, label in _TRAITS.items():
        if name in user["traits"]:
            trait = user["traits"][name]
            lines.append(
                f"  {label:15} {_trait(name, trait['value']):>10}   "
                f"more than {trait['percentile']:.0%} of the users"
            )
    if user["taste"]:
        shares = [
            f"{one['category']} {one['share']:.0%}"
            + (f" (mean {one['mean_value']:.1f})" if "mean_value" in one else "")
            for one in user["taste"]
        ]
        lines.append(f"  {'taste':15} {', '.join(shares)}")
    lines += _last(user["items"])
    return "\n".join(lines)


_TRAITS = {
    "activity": "interactions",
    "mean_value": "mean rating",
    "spread": "rating spread",
    "mainstreamness": "mainstreamness",
    "recency": "last seen",
}


def _trait(name: str, value: float) -> str:
    if name == "recency":
        return f"{-value:.0f} d ago"
    return f"{value:,.0f}" if name == "activity" else f"{value:.2f}"


def _last(items: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = []
    for place, one in enumerate(items):
        label = ("last" if "time" in one else "highest") if place == 0 else ""
        value = f"  {one['value']:g}" if "value" in one else ""
        time = f"  {one['time'][:10]}" if "time" in one else ""
        lines.append(f"  {label:15} {one['item']}  {one.get('title', '')}{value}{time}".rstrip())
    return lines


def _idle(n: int) -> str:
    return f" and {n:,} without interactions" if n else ""
