"""One cutoff in time, and the windows that move it."""

from __future__ import annotations

from collections import defaultdict
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recexp.data.dataset import Dataset
from recexp.errors import ConfigError, DataError
from recexp.rng import derive
from recexp.splits.base import Protocol, Split
from recexp.splits.ordering import cutoff, earliest
from recexp.splits.temporal import sliding, temporal

few = settings(max_examples=60, deadline=None, derandomize=True)
DAY = 86_400


def dataset(times: list[int], users: list[str] | None = None) -> Dataset:
    """Interactions at `times`; the item of the k-th is `k`."""
    users = ["a"] * len(times) if users is None else users
    items = np.arange(len(times))
    return Dataset.from_columns("made", np.array(users), items, None, np.array(times))


def items(split: Split) -> tuple[list[int], list[int]]:
    return (
        sorted(split.train.interactions.item_idx.tolist()),
        sorted(split.test.item_idx.tolist()),
    )


def at(split: Split) -> tuple[list[int], list[int]]:
    train, test = split.train.interactions.timestamp, split.test.timestamp
    assert train is not None
    assert test is not None
    return sorted(train.tolist()), sorted(test.tolist())


def test_the_last_fifth_is_tested() -> None:
    split = temporal(dataset([50, 10, 40, 20, 30, 60, 70, 100, 90, 80]), derive(1))
    assert at(split)[1] == [90, 100]
    assert split.facts["cutoff_seconds"] == 90
    assert split.facts["cutoff"] == "1970-01-01T00:01:30Z"


@pytest.mark.parametrize(
    ("times", "n_test", "expected"),
    [
        ([1, 2, 3, 3, 3, 4], 2, [4]),  # 1 is nearer to 2 than 4 is
        ([1, 2, 3, 3, 3, 4], 3, [3, 3, 3, 4]),  # 4 is nearer to 3 than 1 is
        ([1, 2, 2, 2, 3], 2, [3]),  # 1 is nearer to 2 than 4 is
        ([1, 2, 2, 3], 2, [2, 2, 3]),  # as near: the larger test
        ([1, 1, 1, 2], 3, [2]),  # all four would leave no training
        ([1, 2, 2, 2], 1, [2, 2, 2]),  # none would leave no test
    ],
)
def test_interactions_of_one_second_stay_together(
    times: list[int], n_test: int, expected: list[int]
) -> None:
    assert at(temporal(dataset(times), derive(1), test_count=n_test))[1] == expected


@given(st.lists(st.integers(0, 12), min_size=2, max_size=30), st.floats(0.01, 0.99))
@few
def test_size_is_the_nearest_that_ties_allow(times: list[int], fraction: float) -> None:
    if len(set(times)) == 1:
        return
    train, test = at(temporal(dataset(times), derive(1), test_fraction=fraction))
    assert max(train) < min(test)
    possible = [sum(time >= cut for time in times) for cut in sorted(set(times))[1:]]
    asked = min(max(int(fraction * len(times) + 0.5), 1), len(times) - 1)
    assert abs(len(test) - asked) == min(abs(n - asked) for n in possible)


def test_test_starts_on_the_date() -> None:
    data = dataset([8 * DAY - 1, 8 * DAY, 9 * DAY, 7 * DAY])
    train, test = at(temporal(data, derive(1), date="1970-01-09"))
    assert train == [7 * DAY, 8 * DAY - 1]
    assert test == [8 * DAY, 9 * DAY]


def test_a_date_may_say_its_zone() -> None:
    data = dataset([0, 3599, 3600, 7200])
    assert at(temporal(data, derive(1), date="1970-01-01T02:00+01:00"))[1] == [3600, 7200]


def test_targets_of_each_user_after_the_cutoff() -> None:
    #        a's past and future, b's future, c's past
    times = [10, 20, 100, 110, 120, 105, 115, 30]
    users = ["a"] * 5 + ["b"] * 2 + ["c"]
    data = dataset(times, users)
    expected = {"all": [100, 105, 110, 115, 120], "first": [100, 105], "last": [115, 120]}
    for target, tested in expected.items():
        split = temporal(data, derive(1), test_count=5, target=target)
        assert at(split) == ([10, 20, 30], tested)
        assert split.facts["n_dropped"] == 5 - len(tested)
    split = temporal(data, derive(1), test_count=5, target="next", n=2)
    assert at(split)[1] == [100, 105, 110, 115]


def test_a_user_without_a_past_stays() -> None:
    split = temporal(dataset([1, 2, 3, 4], ["a", "a", "a", "b"]), derive(1))
    assert split.train.users.to_ids(split.test.users()) == ["b"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"test_fraction": 0.0}, "split.test_fraction=0.0: expected a number between 0 and 1"),
        ({"test_fraction": 1.5}, "split.test_fraction=1.5"),
        ({"date": "yesterday"}, "split.date=yesterday: expected an ISO date"),
        ({"date": "1970-01-01", "test_count": 1}, "no split.test_count beside it"),
        ({"test_count": 0}, "split.test_count=0"),
        ({"target": "best"}, "split.target=best: expected one of all, first, last, next"),
        ({"target": "next", "n": 0}, "split.n=0"),
    ],
)
def test_wrong_options_are_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        temporal(dataset([1, 2, 3]), derive(1), **options)
    assert message in str(caught.value)


@pytest.mark.parametrize("date", ["1960-01-01", "1990-01-01"])
def test_a_cutoff_outside_the_data_says_what_the_data_spans(date: str) -> None:
    with pytest.raises(DataError, match=r"leaves an empty .* 1970-01-01T00:00:01Z to 1970-01-0"):
        temporal(dataset([1, 2, 3]), derive(1), date=date)


@pytest.mark.parametrize("times", [[5], [5, 5, 5]])
def test_data_of_one_second_cannot_be_cut(times: list[int]) -> None:
    with pytest.raises(DataError, match=r"split=temporal leaves an empty training side of \d"):
        temporal(dataset(times), derive(1))


@pytest.mark.parametrize("target", ["first", "last"])
def test_a_cutoff_after_everything_is_told_with_any_target(target: str) -> None:
    with pytest.raises(DataError, match="leaves an empty test side"):
        temporal(dataset([1, 2]), derive(1), date="1990-01-01", target=target)


def test_more_test_interactions_than_there_are_is_told() -> None:
    with pytest.raises(DataError, match=r"made has 3 interactions; split.test_count=3 leaves none"):
        temporal(dataset([1, 2, 3]), derive(1), test_count=3)


@pytest.mark.parametrize("protocol", [temporal, sliding])
def test_data_without_time_is_told_what_to_do(protocol: Protocol) -> None:
    data = Dataset.from_columns("made", np.array(["a", "b"]), np.array(["x", "y"]))
    with pytest.raises(DataError) as caught:
        protocol(data, derive(1))
    assert str(caught.value) == (
        f"made has no timestamps; split={protocol.__name__} needs them: "
        "set dataset.columns.timestamp or use split=random"
    )


def test_windows_follow_each_other() -> None:
    data = dataset(list(range(100)))
    for window in range(4):
        split = sliding(data, derive(1), window=window, n_windows=4, test_fraction=0.4)
        first = 60 + 10 * window
        assert at(split) == (list(range(first)), list(range(first, first + 10)))


def test_a_rolling_window_keeps_the_length_of_training() -> None:
    split = sliding(
        dataset(list(range(100))),
        derive(1),
        window=2,
        n_windows=4,
        test_fraction=0.4,
        train="rolling",
    )
    assert at(split) == (list(range(20, 80)), list(range(80, 90)))
    assert split.facts["n_dropped"] == 30


@given(st.lists(st.integers(0, 40), min_size=20, max_size=60))
@few
def test_windows_together_are_the_temporal_test(times: list[int]) -> None:
    data = dataset(times)
    windows = partial(sliding, n_windows=3, test_fraction=0.5)
    try:
        splits = [windows(data, derive(1), window=window) for window in range(3)]
    except DataError:
        return
    tested = [item for split in splits for item in items(split)[1]]
    assert sorted(tested) == items(temporal(data, derive(1), test_fraction=0.5))[1]
    for split in splits:
        train, test = at(split)
        assert max(train) < min(test)


@pytest.mark.parametrize(
    "options", [{"window": 5}, {"window": -1}, {"n_windows": 0}, {"train": "growing"}]
)
def test_wrong_windows_are_named(options: dict[str, object]) -> None:
    (name,) = options
    with pytest.raises(ConfigError, match=rf"split.{name}="):
        sliding(dataset([1, 2, 3]), derive(1), **options)


def test_too_many_windows_for_the_data_is_told() -> None:
    with pytest.raises(DataError, match=r"empty test side of 4 .* lower split.n_windows"):
        sliding(dataset([1, 2, 3, 3]), derive(1), window=1, test_fraction=0.5)


def test_cutoff_by_hand() -> None:
    assert [cutoff(np.array([5, 1, 3, 3]), n) for n in (0, 1, 2, 3, 4)] == [3, 3, 3, 5, 5]


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), min_size=1, max_size=30),
    st.lists(st.integers(0, 6), min_size=4, max_size=4),
)
@few
def test_the_earliest_of_each_group_are_taken(
    rows: list[tuple[int, int]], counts: list[int]
) -> None:
    group, time = (np.array(column) for column in zip(*rows, strict=True))
    taken = earliest(group, time, np.array(counts), derive(1))
    expected = defaultdict(list)
    for one, when in sorted(rows):
        if len(expected[one]) < counts[one]:
            expected[one].append(when)
    for one in range(4):
        assert sorted(time[taken & (group == one)].tolist()) == expected[one]


def test_ties_are_drawn_fairly() -> None:
    group, time = np.zeros(4, np.int32), np.zeros(4, np.int64)
    taken = sum(earliest(group, time, np.array([1]), derive(seed)) for seed in range(400))
    assert taken.sum() == 400
    assert taken.min() > 60  # 100 expected, standard deviation 8.7


def test_absurd_spans_of_time_do_not_overflow() -> None:
    time = np.array([-(2**62), 2**62, 0, 1, 2**62])
    taken = earliest(np.array([0, 0, 1, 1, 1]), time, np.array([1, 2]), derive(1))
    assert taken.tolist() == [True, False, True, True, False]
