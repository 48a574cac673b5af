"""Steps from a dataset to the dataset an experiment is about: pure, and counted."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np

from recexp.data.dataset import Dataset
from recexp.errors import ConfigError, DataError


@dataclass(frozen=True)
class StepReport:
    """What one step did: sizes as (interactions, users, items)."""

    name: str
    before: tuple[int, int, int]
    after: tuple[int, int, int]

    def __str__(self) -> str:
        changes = zip(("interactions", "users", "items"), self.before, self.after, strict=True)
        return f"{self.name}: " + ", ".join(
            f"{before:,} {what}" if before == after else f"{before:,} -> {after:,} {what}"
            for what, before, after in changes
        )


def apply(
    dataset: Dataset, steps: Mapping[str, Callable[..., Dataset]], rng: np.random.Generator
) -> tuple[Dataset, list[StepReport]]:
    """Return the dataset after all `steps`, in their order, and what each of them did.

    A step is called with the dataset, and with `rng=` if it has a parameter of that name.
    Raises DataError, naming the step and what it was given, when nothing is left.
    """
    reports = []
    for name, step in steps.items():
        before = _sizes(dataset)
        draws = "rng" in inspect.signature(step).parameters
        dataset = step(dataset, rng=rng) if draws else step(dataset)
        report = StepReport(name, before, _sizes(dataset))
        if not len(dataset.interactions):
            raise DataError(f"preprocess.{name} leaves nothing ({report}): loosen or remove it")
        reports.append(report)
    return dataset, reports


def deduplicate(dataset: Dataset, keep: Literal["first", "last"] = "last") -> Dataset:
    """Return the dataset with one interaction of each user and item: the first or last in time.

    Of equal times (or without times) the one with the highest value counts as the last.
    """
    _require(keep in ("first", "last"), "deduplicate.keep", keep, "first or last")
    it = dataset.interactions
    new = (np.diff(it.user_idx) != 0) | (np.diff(it.item_idx) != 0)
    return dataset.compact(np.append(True, new) if keep == "first" else np.append(new, True))


def minimum_value(dataset: Dataset, threshold: float) -> Dataset:
    """Return the dataset of the interactions with value >= threshold; the scale stays."""
    return dataset.compact(dataset.interactions.value >= np.float32(threshold))


def binarize(dataset: Dataset, threshold: float | None = None) -> Dataset:
    """Return implicit feedback: the interactions with value >= threshold, each of value 1.

    `threshold` is the dataset's relevance threshold by default; without ratings all stay.
    """
    threshold = dataset.relevance_threshold if threshold is None else threshold
    kept = dataset if threshold is None else minimum_value(dataset, threshold)
    ones = np.ones(len(kept.interactions), np.float32)
    return replace(
        kept,
        interactions=replace(kept.interactions, value=ones),
        scale=None,
        relevance_threshold=None,
    )


def k_core(dataset: Dataset, users: int = 5, items: int = 5) -> Dataset:
    """Return the largest part in which each user has `users` interactions and each item `items`.

    Both are dropped in turn until nothing changes. 0 or 1 asks nothing of that side. Repeated pairs
    count each time: deduplicate first.
    """
    it = dataset.interactions
    rows = np.arange(len(it))
    while True:
        user_idx, item_idx = it.user_idx[rows], it.item_idx[rows]
        kept = (np.bincount(user_idx, minlength=it.n_users) >= users)[user_idx]
        kept &= (np.bincount(item_idx, minlength=it.n_items) >= items)[item_idx]
        if kept.all():
            mask = np.zeros(len(it), bool)
            mask[rows] = True
            return dataset.compact(mask)
        rows = rows[kept]


def sample(
    dataset: Dataset,
    fraction: float,
    of: Literal["users", "interactions"] = "users",
    *,
    rng: np.random.Generator,
) -> Dataset:
    """Return a random part: `fraction` of the users with all they did, or of the interactions.

    The number is rounded, but at least 1.
    """
    _require(0 < fraction <= 1, "sample.fraction", fraction, "above 0, at most 1")
    _require(of in ("users", "interactions"), "sample.of", of, "users or interactions")
    total = dataset.n_users if of == "users" else len(dataset.interactions)
    drawn = np.zeros(total, bool)
    drawn[rng.choice(total, max(1, round(fraction * total)), replace=False)] = True
    return dataset.compact(drawn[dataset.interactions.user_idx] if of == "users" else drawn)


def time_range(
    dataset: Dataset, start: str | float | None = None, end: str | float | None = None
) -> Dataset:
    """Return the dataset of the interactions with start <= timestamp < end.

    Each is seconds since 1970 UTC or a date such as 1998-01-31 or 1998-01-31T12:00 (UTC unless it
    says otherwise); None leaves that side open. Raises DataError without timestamps.
    """
    timestamp = dataset.interactions.timestamp
    if timestamp is None:
        raise DataError(
            f"{dataset.name} has no timestamps, preprocess.time_range needs them: "
            "set dataset.columns.timestamp or remove the step"
        )
    kept = np.ones(len(timestamp), bool)
    if start is not None:
        kept &= timestamp >= _seconds("start", start)
    if end is not None:
        kept &= timestamp < _seconds("end", end)
    return dataset.compact(kept)


def _seconds(name: str, moment: Any) -> float:
    if isinstance(moment, int | float):
        return float(moment)
    try:
        parsed = datetime.fromisoformat(str(moment))
    except ValueError:
        raise ConfigError(
            f"preprocess.time_range.{name}={moment}: expected seconds since 1970 or a date "
            "such as 1998-01-31"
        ) from None
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()


def _sizes(dataset: Dataset) -> tuple[int, int, int]:
    return len(dataset.interactions), dataset.n_users, dataset.n_items


def _require(condition: bool, key: str, value: object, expected: str) -> None:
    if not condition:
        raise ConfigError(f"preprocess.{key}={value}: expected {expected}")
