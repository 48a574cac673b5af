"""A training that only calls back can be halted, watched and left."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from recexp.algorithms.epochs import paused


def test_it_halts_at_every_callback_and_runs_to_the_end() -> None:
    done: list[str] = []

    def train(callback: Callable[..., None]) -> None:
        for epoch in range(3):
            done.append(f"epoch {epoch}")
            callback(epoch, "more")
        done.append("end")

    seen = []
    for n in paused(train):
        seen.append((n, list(done)))
    assert [n for n, _ in seen] == [1, 2, 3]
    assert seen[1][1] == ["epoch 0", "epoch 1"]  # the third has not begun while we look
    assert done[-1] == "end"


def test_left_early_it_ends_at_once() -> None:
    done: list[int] = []

    def train(callback: Callable[..., None]) -> None:
        for epoch in range(1000):
            done.append(epoch)
            callback()

    before = threading.active_count()
    epochs = paused(train)
    next(epochs)
    next(epochs)
    epochs.close()  # type: ignore[attr-defined]
    assert done == [0, 1]
    assert threading.active_count() == before


def test_what_training_raises_reaches_the_consumer() -> None:
    def train(callback: Callable[..., None]) -> None:
        callback()
        raise ValueError("diverged")

    epochs = paused(train)
    assert next(epochs) == 1
    with pytest.raises(ValueError, match="diverged"):
        next(epochs)
