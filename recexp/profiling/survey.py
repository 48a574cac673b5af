"""What every split would leave of a dataset, or why it cannot be made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from recexp.data.dataset import Dataset
from recexp.errors import RecexpError
from recexp.evaluation.judge import evaluated_users
from recexp.progress import progress
from recexp.rng import derive
from recexp.splits.audit import audit
from recexp.splits.base import Protocol

_FACTS = (
    *("n_train", "n_test", "n_train_users", "n_test_users", "cold_users", "cold_items"),
    *("cold_user_interaction_share", "cold_item_interaction_share", "duplicate_pairs"),
    "users_with_future_training_share",
)

SUGGESTED = ("temporal", "temporal_user", "last_n", "random", "k_fold")
"""The most honest first: what a system will meet is the future."""


def survey(
    dataset: Dataset, protocols: Mapping[str, Protocol], seed: int = 42
) -> dict[str, dict[str, Any]]:
    """Return by name what each of `protocols` leaves of `dataset`, as plain JSON values.

    Of one that is `possible`: facts of its audit (see `recexp.splits.audit.audit`) and
    `evaluated_users`, the test users with a relevant item. Of another: `why` not.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, protocol in progress(list(protocols.items()), "splits"):
        try:
            split = protocol(dataset, derive(seed, "split"))
        except RecexpError as error:
            found[name] = {"possible": False, "why": str(error)}
            continue
        facts = audit(split).facts
        found[name] = {"possible": True} | {key: facts[key] for key in _FACTS}
        found[name]["evaluated_users"] = len(evaluated_users(split))
    return found


def suggest(surveyed: Mapping[str, Mapping[str, Any]]) -> str | None:
    """Return the first of `SUGGESTED` that leaves someone to evaluate, or None.

    >>> suggest({"temporal": {"possible": False}, "random": {"possible": True,
    ...     "evaluated_users": 3}})
    'random'
    """
    for name in SUGGESTED:
        if surveyed.get(name, {}).get("evaluated_users"):
            return name
    return None
