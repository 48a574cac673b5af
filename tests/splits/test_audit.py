"""Leaks that were planted, and their exact sizes."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from recexp.arrays import BoolArray
from recexp.data.dataset import Dataset
from recexp.errors import ConfigError, DataError
from recexp.rng import derive
from recexp.splits.audit import THRESHOLDS, audit, check
from recexp.splits.base import Protocol, Split, divide
from recexp.splits.cold import cold_item, cold_user
from recexp.splits.per_user import last_n
from recexp.splits.random import random
from recexp.splits.temporal import temporal

CONTRACT = {
    "n_train",
    "n_test",
    "n_train_users",
    "n_test_users",
    "n_train_items",
    "n_test_items",
    "cold_users",
    "cold_items",
    "cold_user_interaction_share",
    "cold_item_interaction_share",
    "duplicate_pairs",
    "users_with_future_training_share",
    "future_training_share",
}
LEAKS = sorted(THRESHOLDS)

Row = tuple[int, int, int, int]
ROWS = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 6), st.integers(1, 5), st.integers(0, 25)),
    min_size=12,
    max_size=60,
)


def dataset(rows: list[Row]) -> Dataset:
    users, items, values, times = (np.array(column) for column in zip(*rows, strict=True))
    return Dataset.from_columns(
        "made", users, items, values.astype(np.float32), times, scale=(1.0, 5.0)
    )


def by_hand(train: list[Row], test: list[Row], history: list[Row] | None = None) -> Split:
    """The split with exactly these sides; all rows differ."""
    sides = {row: side for side, rows in enumerate((train, test, history or [])) for row in rows}
    data = dataset(list(sides))
    whole = data.interactions
    assert whole.timestamp is not None
    columns = (
        data.users.to_ids(whole.user_idx),
        data.items.to_ids(whole.item_idx),
        whole.value.astype(int).tolist(),
        whole.timestamp.tolist(),
    )
    side = np.array([sides[row] for row in zip(*columns, strict=True)])
    return divide(data, "by hand", side == 1, history=side == 2, advice="-")


def move_to_training(split: Split, rows: BoolArray) -> Split:
    """The split with the test interactions at `rows` in training too."""
    train, leaked = split.train.interactions, split.test.select(rows)
    assert train.timestamp is not None
    assert leaked.timestamp is not None
    both = replace(
        train,
        **{
            name: np.concatenate([getattr(train, name), getattr(leaked, name)])
            for name in ("user_idx", "item_idx", "value", "timestamp")
        },
    )
    return replace(split, train=split.train.with_interactions(both))


def test_facts_by_hand() -> None:
    split = by_hand(
        train=[(1, 1, 5, 10), (1, 2, 4, 60), (2, 1, 3, 20), (2, 3, 2, 30)],
        test=[
            (1, 1, 3, 50),  # user 1 trains at 60: the future; the pair is in training
            (2, 4, 4, 55),  # item 4 is cold
            (3, 4, 2, 70),  # user 3 is cold
            (3, 2, 1, 70),  # item 2 first seen at 60, after the first test
        ],
    )
    facts = dict(audit(split).facts)
    expected = {
        "n_train": 4,
        "n_test": 4,
        "n_history": 0,
        "n_dropped": 0,
        "n_train_users": 2,
        "n_test_users": 3,
        "n_train_items": 3,
        "n_test_items": 3,
        "cold_users": 1,
        "cold_items": 1,
        "cold_user_interaction_share": 2 / 4,
        "cold_item_interaction_share": 2 / 4,
        "duplicate_pairs": 1,
        "duplicate_pair_interaction_share": 1 / 4,
        "users_with_future_training_share": 1 / 3,
        "users_with_future_history_share": 0.0,
        "future_training_share": 1 / 4,
        "items_first_seen_after_cutoff": 2,
        "items_first_seen_after_cutoff_interaction_share": 3 / 4,
        "leaked_feature_columns": 0,
        "leaked_features": [],
        "users_without_relevant_test_items": 2,
        # values 5 4 3 2 against 3 4 2 1: at 1 it is 0 and 1/4, at 2 1/4 and 2/4, ...
        "rating_shift": 1 / 4,
        # interactions of item 1: 3, 2: 2, 3: 1, 4: 2; train 3 2 3 1, test 3 2 2 2
        "popularity_shift": 1 / 4,
        "mean_train_value": 3.5,
        "mean_test_value": 2.5,
    }
    protocol = facts.pop("protocol")
    assert facts == expected
    assert protocol["protocol"] == "by hand"
    assert facts.keys() >= CONTRACT


@given(rows=ROWS, protocol=st.sampled_from([random, temporal, last_n, cold_user, cold_item]))
@settings(max_examples=80, deadline=None, derandomize=True)
def test_time_leaks_and_cold_starts_equal_a_naive_count(
    rows: list[Row], protocol: Protocol
) -> None:
    try:
        split = protocol(dataset(rows), derive(1))
    except DataError:
        assume(False)
    train, test = (
        list(
            zip(
                side.user_idx.tolist(),
                side.item_idx.tolist(),
                side.timestamp.tolist(),
                strict=True,
            )
        )
        for side in (split.train.interactions, split.test)
    )
    test_users, test_items = {row[0] for row in test}, {row[1] for row in test}
    future_users = {u for u, _, t in test if any(v == u and s > t for v, _, s in train)}
    first = min(t for _, _, t in test)
    facts = audit(split).facts
    assert facts["users_with_future_training_share"] == len(future_users) / len(test_users)
    assert facts["future_training_share"] == sum(t > first for *_, t in train) / len(train)
    assert facts["duplicate_pairs"] == len({r[:2] for r in test} & {r[:2] for r in train})
    assert facts["cold_users"] == len(test_users - {row[0] for row in train})
    assert facts["cold_items"] == len(test_items - {row[1] for row in train})
    early = {i for _, i, t in train if t < first}
    assert facts["items_first_seen_after_cutoff"] == len(test_items - early)


def test_a_temporal_split_has_no_leak(movielens: Dataset) -> None:
    audited = audit(temporal(movielens, derive(1)))
    assert check(audited, "fail") == []
    assert [audited.facts[name] for name in LEAKS] == [0, 0, 0, 0, 0]


def test_a_planted_future_has_its_exact_size(movielens: Dataset) -> None:
    clean = temporal(movielens, derive(1))
    test = clean.test
    assert test.timestamp is not None
    # The last test interaction of 25 users who have an earlier one, 40 of them in all.
    order = np.lexsort((test.timestamp, test.user_idx))
    users, first, counts = np.unique(test.user_idx[order], return_index=True, return_counts=True)
    last = order[first + counts - 1]
    later = test.timestamp[last] > test.timestamp[order[first]]
    chosen = np.zeros(len(test), np.bool_)
    chosen[last[later][:25]] = True
    leaky = move_to_training(clean, chosen)
    facts = audit(leaky).facts
    assert facts["users_with_future_training_share"] == 25 / len(users)
    assert facts["future_training_share"] == 25 / (len(clean.train.interactions) + 25)
    assert facts["duplicate_pairs"] == 25
    assert facts["duplicate_pair_interaction_share"] == 25 / len(test)
    with pytest.raises(DataError):
        check(audit(leaky), "fail")


def test_planted_duplicates_without_time_have_their_exact_size() -> None:
    data = Dataset.from_columns("made", np.repeat(np.arange(10), 10), np.tile(np.arange(10), 10))
    split = random(data, derive(1))
    leaked = split.test.select(np.arange(len(split.test)) < 7)
    train = split.train.interactions
    both = replace(
        train,
        user_idx=np.concatenate([train.user_idx, leaked.user_idx, leaked.user_idx]),
        item_idx=np.concatenate([train.item_idx, leaked.item_idx, leaked.item_idx]),
        value=np.concatenate([train.value, leaked.value, leaked.value]),
    )
    facts = audit(replace(split, train=data.with_interactions(both))).facts
    assert facts["duplicate_pairs"] == 7
    assert facts["future_training_share"] is None
    assert facts["users_with_future_training_share"] is None
    assert "future_training_share" not in audit(split).metrics()
    assert audit(split).facts["duplicate_pairs"] == 0


def test_a_history_from_the_future_is_found() -> None:
    train, test = [(9, 1, 3, 1), (9, 2, 3, 2)], [(1, 1, 3, 10), (2, 2, 3, 20)]
    early = by_hand(train, test, history=[(1, 3, 3, 5), (2, 3, 3, 6)])
    late = by_hand(train, test, history=[(1, 3, 3, 5), (2, 3, 3, 21)])
    assert audit(early).facts["users_with_future_history_share"] == 0
    assert audit(late).facts["users_with_future_history_share"] == 1 / 2
    assert audit(late).facts["n_history"] == 2


def test_relevance_is_of_the_caller_or_the_dataset() -> None:
    split = by_hand([(1, 1, 3, 1)], [(1, 2, 3, 2), (2, 2, 5, 2), (3, 2, 4, 2)])
    assert audit(split).facts["users_without_relevant_test_items"] == 1
    strict = audit(split, relevance_threshold=5.0)
    assert strict.facts["users_without_relevant_test_items"] == 2
    implicit = replace(split, train=replace(split.train, relevance_threshold=None, scale=None))
    assert audit(implicit).facts["users_without_relevant_test_items"] == 0


def test_shift_is_nothing_between_equal_sides_and_all_between_disjoint_ones() -> None:
    same = by_hand([(1, 1, 1, 1), (1, 2, 5, 1)], [(2, 1, 1, 2), (2, 2, 5, 2)])
    assert (audit(same).facts["rating_shift"], audit(same).facts["popularity_shift"]) == (0, 0)
    train = [(1, 1, 1, 1), (2, 1, 2, 1), (3, 1, 1, 1)]
    apart = by_hand(train, [(1, 2, 4, 2), (2, 3, 5, 2)])
    assert (audit(apart).facts["rating_shift"], audit(apart).facts["popularity_shift"]) == (1, 1)


@pytest.mark.parametrize(
    "protocol", [temporal, random, partial(cold_user, n_history=2)], ids=["t", "r", "c"]
)
def test_facts_are_plain_json(protocol: Protocol, synthetic: Dataset) -> None:
    audited = audit(protocol(synthetic, derive(1)))
    assert json.loads(json.dumps(audited.facts)) == audited.facts
    assert all(isinstance(value, float) for value in audited.metrics().values())


def random_audit(synthetic: Dataset) -> Any:
    return audit(random(synthetic, derive(1)))


def test_report_tells_and_does_nothing(
    synthetic: Dataset, caplog: pytest.LogCaptureFixture
) -> None:
    lines = check(random_audit(synthetic))
    found = {line.split(" found ")[1].split("=")[0] for line in lines}
    assert found == {"users_with_future_training_share", "future_training_share"}
    assert not caplog.records


def test_warn_logs_every_leak(synthetic: Dataset, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        lines = check(random_audit(synthetic), "warn")
    assert [record.getMessage() for record in caplog.records] == lines != []


def test_fail_names_check_value_and_threshold(synthetic: Dataset) -> None:
    audited = random_audit(synthetic)
    share = audited.facts["users_with_future_training_share"]
    with pytest.raises(DataError) as caught:
        check(audited, "fail")
    assert (
        f"split=random found users_with_future_training_share={share:.6g}, above its threshold 0"
        in str(caught.value)
    )


def test_thresholds_are_inclusive_and_added_to_the_defaults(synthetic: Dataset) -> None:
    audited = random_audit(synthetic)
    allowed = {name: audited.metrics()[name] for name in LEAKS}
    assert check(audited, "fail", allowed) == []
    cold = audited.facts["cold_user_interaction_share"]
    with pytest.raises(DataError, match="cold_user_interaction_share"):
        check(audited, "fail", {**allowed, "cold_user_interaction_share": cold - 1e-9})


def test_unknown_checks_and_modes_are_named(synthetic: Dataset) -> None:
    audited = random_audit(synthetic)
    with pytest.raises(ConfigError, match="no number 'duplicate_pair'; did you mean 'duplicate_pa"):
        check(audited, "report", {"duplicate_pair": 1})
    with pytest.raises(ConfigError, match="leakage=faill; did you mean 'fail'"):
        check(audited, "faill")
