"""What algorithms share: refusals (too little memory, a diverged fit) and blocks of rows."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from recexp.arrays import AnyArray
from recexp.data.dataset import Dataset
from recexp.errors import ConfigError, DataError, TooLargeError

_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


def require_memory(recommender: Any, n_bytes: float, what: str, instead: str) -> None:
    """Raise TooLargeError when `what` takes more bytes than this machine (or container) has."""
    limit = _memory_bytes()
    if n_bytes > limit:
        raise TooLargeError(
            f"{type(recommender).__name__} needs {n_bytes / 2**30:,.1f} GB for {what}; "
            f"this machine has {limit / 2**30:,.1f} GB: {instead}"
        )


def require_finite(recommender: Any, *learned: AnyArray) -> None:
    """Raise ConfigError when training diverged, that is, left NaN or infinity behind."""
    if not all(np.isfinite(array).all() for array in learned):
        raise ConfigError(
            f"{type(recommender).__name__} diverged, what it learned is not finite: "
            "lower algo.learning_rate or raise the regularization"
        )


def require_room(recommender: Any, new: Dataset, n_users: int, n_items: int) -> None:
    """Raise DataError when `new` numbers fewer users or items than were learned so far."""
    if new.n_users < n_users or new.n_items < n_items:
        raise DataError(
            f"{new.name} has {new.n_users} users and {new.n_items} items, and "
            f"{type(recommender).__name__} has learned {n_users} and {n_items}: number the new "
            "ones on from those"
        )


def blocks(n: int, width: int, budget: int = 1 << 22) -> Iterator[slice]:
    """Return slices that cover range(n), of about `budget` / `width` rows each."""
    step = max(1, budget // max(1, width))
    return (slice(start, min(n, start + step)) for start in range(0, n, step))


def _memory_bytes() -> float:
    """The memory of the machine, or of the container when that is less; infinite if unknown."""
    try:
        limit = float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):
        return float("inf")
    text = _CGROUP_LIMIT.read_text().strip() if _CGROUP_LIMIT.is_file() else "max"
    return limit if text == "max" else min(limit, float(text))
