"""What `data check` finds in the content of a dataset."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from recexp.data.dataset import Dataset
from recexp.data.features import one_hot
from recexp.profiling.checks import check_content

NOW = 1_700_000_000.0
HOUR, DAY = 3600, 86_400


def clean(n_users: int = 60, n_items: int = 10) -> dict[str, Any]:
    """Columns of a dataset that nothing is wrong with."""
    users, items = (grid.ravel() for grid in np.indices((n_users, n_items)))
    return {
        "users": users,
        "items": items,
        "values": (users + items) % 5 + 1.0,
        "times": 1_600_000_000 + np.arange(len(users)) * HOUR,
    }


def found(columns: dict[str, Any], **changes: Any) -> dict[str, tuple[str, int]]:
    """Level and count of each finding, by the first words of what was found."""
    dataset = Dataset.from_columns(
        "d",
        columns["users"],
        columns["items"],
        columns["values"],
        columns["times"],
        scale=(1, 5) if columns["values"] is not None else None,
    )
    dataset = replace(dataset, item_features=one_hot(["a"] * dataset.n_items, "kind"))
    dataset = replace(dataset, **changes)
    return {one.what: (one.level, one.count) for one in check_content(dataset, NOW)}


def test_nothing_is_wrong_with_clean_data() -> None:
    assert found(clean()) == {}


@pytest.mark.parametrize(
    ("changes", "what", "expected"),
    [
        ({"times": np.full(600, DAY + 1)}, "every timestamp is 1970-01-02 00:00:01", "problem 600"),
        (
            {"times": int(NOW) + np.arange(-500, 100)},
            "99 timestamps lie in the future (the latest: 2023-11-14 22:14:59)",
            "problem 99",
        ),
        (
            {"times": np.arange(600) * DAY},
            "timestamps are dates without a time of day",
            "note 600",
        ),
        (
            {"times": np.repeat(np.arange(60), 10) * HOUR + 1},
            "540 interactions are at the very moment of another of the same user",
            "note 540",
        ),
        ({"times": None}, "there are no timestamps", "note 600"),
        ({"users": np.zeros(600, int), "items": np.arange(600)}, "a single user", "problem 1"),
        ({"users": np.arange(600)}, "every user has one interaction", "problem 600"),
        (
            {"values": np.full(600, 3.0)},
            "no rating reaches the relevance threshold 4",
            "problem 600",
        ),
        (
            {"values": np.full(600, 5.0)},
            "600 of 600 ratings reach the relevance threshold 4",
            "note 600",
        ),
    ],
)
def test_each_thing_wrong_is_found(changes: dict[str, Any], what: str, expected: str) -> None:
    level, count = expected.split()
    assert found(clean() | changes)[what] == (level, int(count))


def test_repeated_pairs_are_counted() -> None:
    columns = {
        name: np.append(column, column[:3])
        if name != "times"
        else np.append(column, column[:3] + 1)
        for name, column in clean().items()
    }
    said = found(columns)
    assert said["3 interactions repeat a pair of user and item"] == ("note", 3)


def test_a_robot_is_noticed() -> None:
    columns = clean(60, 1010)
    kept = (columns["users"] == 7) | (columns["items"] < 8)
    said = found({name: column[kept] for name, column in columns.items()})
    assert said["1 users have very many interactions (7: 1,010)"] == ("note", 1)


def test_ids_that_differ_by_case_are_noticed() -> None:
    names = np.array([f"u{n}" for n in range(59)] + ["U1 "])
    columns = clean()
    said = found(columns | {"users": names[columns["users"]]})
    key = "1 user ids differ from others only in case, spaces or zeros ('U1 ', 'u1')"
    assert said[key] == ("note", 1)


def test_few_and_nearly_cold_users_are_noticed() -> None:
    said = found(clean(20, 3))
    assert said["20 users are few"] == ("note", 20)
    assert said["20 users have fewer than 5 interactions"] == ("note", 20)


def test_missing_and_doubled_titles_are_noticed() -> None:
    titles = ("A", "A", "", *(f"T{n}" for n in range(7)))
    said = found(clean(), item_columns={"title": titles}, item_features=None)
    assert said["1 items have no title"] == ("note", 1)
    assert said["1 items have the title of another"] == ("note", 1)
    assert said["items have no features"] == ("note", 10)


def test_ratings_that_say_nothing_are_told() -> None:
    said = found(clean() | {"values": None}, facts={"scale_source": "none: every rating is 5"})
    assert said["every rating is 5"] == ("note", 600)
