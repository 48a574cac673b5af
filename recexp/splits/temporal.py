"""One cutoff in time for everybody, and windows that move it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal, get_args

import numpy as np

from recexp.arrays import BoolArray
from recexp.data.dataset import Dataset
from recexp.errors import ConfigError, DataError
from recexp.splits.base import (
    Split,
    divide,
    require,
    require_choice,
    require_fraction,
    share,
    timestamps,
)
from recexp.splits.ordering import cutoff, earliest, iso

Target = Literal["all", "first", "last", "next"]
Training = Literal["expanding", "rolling"]


def temporal(
    dataset: Dataset,
    rng: np.random.Generator,
    *,
    test_fraction: float = 0.2,
    date: str | None = None,
    test_count: int | None = None,
    target: Target = "all",
    n: int = 1,
) -> Split:
    """The past trains, the future tests: one cutoff in time for all users.

                   cutoff
        user a  o o o | x x          o training   x test
        user b  o     | x x x        . dropped: after the cutoff, not the target
        user c  o o o |
        user d        | x x          a cold user stays
        ------------------------> time

        target=first  | x .       target=last  | . x       target=next n=2  | x x .

    Training is strictly before the cutoff, test at the cutoff or later, so interactions of one
    second stay together and the sizes are the nearest that this allows.

    Args:
        test_fraction: share of the interactions that come at or after the cutoff.
        date: the cutoff as an ISO date or time, UTC unless it says otherwise; instead of a share.
        test_count: number of interactions at or after the cutoff; instead of a share.
        target: which of a user's later interactions are tested; the others are dropped. Ties
            within a second are drawn at random.
        n: how many with `target=next`.

    Raises ConfigError for options out of range, DataError without timestamps or for an empty side.
    """
    require_fraction(test_fraction)
    require_choice("target", target, get_args(Target))
    require(n >= 1, "n", n, "an integer >= 1")
    require(date is None or test_count is None, "date", date, "no split.test_count beside it")
    time = timestamps(dataset, "temporal")
    if date is not None:
        cut = _seconds(date)
    elif test_count is not None:
        require(test_count >= 1, "test_count", test_count, "an integer >= 1")
        if test_count >= len(time):
            raise DataError(
                f"{dataset.name} has {len(time)} interactions; split.test_count={test_count} "
                "leaves none to train on: lower it"
            )
        cut = cutoff(time, len(time) - test_count)
    else:
        cut = cutoff(time, len(time) - share(test_fraction, len(time)))
    later = time >= cut
    return divide(
        dataset,
        "temporal",
        later if target == "all" else _targets(dataset, later, target, n, rng),
        train=~later,
        advice=(
            f"the cutoff is {iso(cut)}, the data spans {iso(int(time.min()))} to "
            f"{iso(int(time.max()))}: choose a cutoff inside or use split=random"
        ),
        facts={"cutoff": iso(cut), "cutoff_seconds": cut, "target": target},
    )


def sliding(
    dataset: Dataset,
    rng: np.random.Generator,
    *,
    window: int = 0,
    n_windows: int = 5,
    test_fraction: float = 0.2,
    train: Training = "expanding",
) -> Split:
    """One of several successive windows in time: train on what came before, test the window.

        window=0  o o o o o o|x x|                 expanding
        window=1  o o o o o o o o|x x|
        window=2  o o o o o o o o o o|x x|         o training   x test

        window=2          o o o o o o|x x|         rolling: training keeps its length
        ---------------------------------> time

    The last `test_fraction` of the interactions is cut into `n_windows` of about the same number;
    interactions of one second stay together. Later windows are dropped, and with `rolling` as
    many of the oldest interactions. `-m split.window=0,1,2,3,4` runs them all.

    Raises ConfigError for options out of range, DataError without timestamps or for an empty side.
    """
    require_fraction(test_fraction)
    require(n_windows >= 1, "n_windows", n_windows, "an integer >= 1")
    require(0 <= window < n_windows, "window", window, f"0 to {n_windows - 1} (split.n_windows-1)")
    require_choice("train", train, get_args(Training))
    time = timestamps(dataset, "sliding")
    n_test = share(test_fraction, len(time))
    n_skipped, n_through = (n_test * i // n_windows for i in (window, window + 1))
    n_before = len(time) - n_test
    cut = cutoff(time, n_before + n_skipped)
    test = time >= cut
    end = None
    if window + 1 < n_windows:
        end = cutoff(time, n_before + n_through)
        test &= time < end
    trained = time < cut
    if train == "rolling" and n_skipped:
        trained &= time >= cutoff(time, n_skipped)
    return divide(
        dataset,
        "sliding",
        test,
        train=trained,
        advice="lower split.n_windows or raise split.test_fraction",
        facts={
            "cutoff": iso(cut),
            "cutoff_seconds": cut,
            "end": None if end is None else iso(end),
            "window": window,
            "n_windows": n_windows,
        },
    )


def _targets(
    dataset: Dataset, later: BoolArray, target: Target, n: int, rng: np.random.Generator
) -> BoolArray:
    """The mask of those `later` interactions that are tested."""
    rows = np.flatnonzero(later)
    users = dataset.interactions.user_idx[rows]
    time = timestamps(dataset, "temporal")[rows]
    if target == "last":
        spared = np.maximum(np.bincount(users, minlength=dataset.n_users) - 1, 0)
        chosen = ~earliest(users, time, spared, rng)
    else:
        counts = np.full(dataset.n_users, n if target == "next" else 1)
        chosen = earliest(users, time, counts, rng)
    test = np.zeros_like(later)
    test[rows[chosen]] = True
    return test


def _seconds(date: str) -> int:
    try:
        moment = datetime.fromisoformat(str(date))
    except ValueError:
        raise ConfigError(
            f"split.date={date}: expected an ISO date such as 2020-01-31 or 2020-01-31T12:00"
        ) from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return int(np.ceil(moment.timestamp()))
