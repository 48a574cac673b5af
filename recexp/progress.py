"""Progress on stderr: silent when stderr is not a terminal and for work of under a second."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

T = TypeVar("T")


def progress(items: Iterable[T], label: str, total: int | None = None) -> Iterable[T]:
    """Return `items`, shown as a progress bar named `label` once a second has passed."""
    from tqdm import tqdm

    return tqdm(items, desc=label, total=total, disable=None, delay=1.0, leave=False)
