"""What a split is, and how a protocol makes one."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np

from recexp.arrays import BoolArray, IntArray, Sparse
from recexp.data.dataset import Dataset, fingerprint
from recexp.data.interactions import Interactions
from recexp.errors import ConfigError, DataError


@dataclass(frozen=True, eq=False)
class Split:
    """The two sides of an experiment, over the same users and items.

    Attributes:
        train: the dataset with the training interactions only; all an algorithm ever sees.
        test: the interactions that are predicted.
        history: interactions given at test time of users that training has not seen (fold-in),
            or None. They are neither trained on nor predicted.
        user_segments: further groups of users for which metrics are reported, bool (n_users,) by
            name; made of the training side alone.
        facts: what the protocol did: its name, cutoffs in time, sizes; plain JSON values.
    """

    train: Dataset
    test: Interactions
    history: Interactions | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    user_segments: Mapping[str, BoolArray] = field(default_factory=dict)

    def seen(self) -> Sparse:
        """Return what each user has seen before the test: csr of ones (n_users, n_items)."""
        seen = self.train.interactions.csr("ones")
        if self.history is not None:
            seen = seen.maximum(self.history.csr("ones"))
        return seen

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the content of both sides (and of the history), not of options."""
        digest = hashlib.sha256()
        for side in (self.train.interactions, self.test, self.history):
            digest.update(b"none" if side is None else fingerprint(side).encode())
        return digest.hexdigest()


Protocol: TypeAlias = Callable[[Dataset, np.random.Generator], Split]
"""A protocol whose options are set."""


def carve(split: Split, protocol: Protocol, rng: np.random.Generator) -> Split:
    """Return a split of the training part; its test side is the validation set.

    The test side of `split` is out of reach, so nothing can be tuned on it.
    """
    return protocol(split.train, rng)


def divide(
    dataset: Dataset,
    protocol: str,
    test: BoolArray,
    *,
    train: BoolArray | None = None,
    history: BoolArray | None = None,
    advice: str,
    facts: Mapping[str, Any] | None = None,
) -> Split:
    """Return the split of `dataset` by masks over its interactions.

    Without `train` all rows that are neither tested nor history are trained on; rows of no side
    are dropped and counted. `facts` are added to the name and the sizes. Raises DataError for an
    empty side; `advice` says there what the user can do.
    """
    whole = dataset.interactions
    if train is None:
        train = ~test if history is None else ~(test | history)
    sizes = {
        "n_train": int(np.count_nonzero(train)),
        "n_test": int(np.count_nonzero(test)),
        "n_history": 0 if history is None else int(np.count_nonzero(history)),
    }
    for side, name in (("n_train", "training"), ("n_test", "test")):
        if sizes[side] == 0:
            raise DataError(
                f"{dataset.name}: split={protocol} leaves an empty {name} side "
                f"of {len(whole)} interactions; {advice}"
            )
    return Split(
        dataset.with_interactions(whole.select(train)),
        whole.select(test),
        whole.select(history) if sizes["n_history"] and history is not None else None,
        {
            "protocol": protocol,
            **sizes,
            "n_dropped": len(whole) - sum(sizes.values()),
            **(facts or {}),
        },
    )


def share(fraction: float, n: int) -> int:
    """Return `fraction` of `n`, rounded half up, but at least 1 and at most `n` - 1.

    >>> share(0.2, 12), share(0.01, 12), share(0.2, 1)
    (2, 1, 0)
    """
    return min(max(math.floor(fraction * n + 0.5), 1), n - 1)


def require(condition: bool, option: str, value: object, expected: str) -> None:
    """Raise ConfigError unless `condition` holds for the option of the split.

    >>> require(False, "n", 0, "an integer >= 1")
    Traceback (most recent call last):
    recexp.errors.ConfigError: split.n=0: expected an integer >= 1
    """
    if not condition:
        raise ConfigError(f"split.{option}={value}: expected {expected}")


def require_fraction(test_fraction: float) -> None:
    """Raise ConfigError unless 0 < `test_fraction` < 1."""
    expected = "a number between 0 and 1, both excluded"
    require(0 < test_fraction < 1, "test_fraction", test_fraction, expected)


def require_choice(option: str, value: str, accepted: tuple[str, ...]) -> None:
    """Raise ConfigError unless `value` is one of `accepted`."""
    require(value in accepted, option, value, f"one of {', '.join(accepted)}")


def timestamps(dataset: Dataset, protocol: str, instead: str = "random") -> IntArray:
    """Return the times of the interactions; raises DataError when the dataset has none."""
    if dataset.interactions.timestamp is None:
        raise DataError(
            f"{dataset.name} has no timestamps; split={protocol} needs them: "
            f"set dataset.columns.timestamp or use split={instead}"
        )
    return dataset.interactions.timestamp
