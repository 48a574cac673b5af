"""The loop of a search: trials go out to workers, what comes back is kept."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from recexp.errors import DataError
from recexp.tuning.crew import Crew, Worker
from recexp.tuning.history import Asked, History, Trial
from recexp.tuning.space import Value

log = logging.getLogger(__name__)


class Book(Protocol):
    """Where trials are written down as runs."""

    def begin(self, number: int, values: dict[str, Value]) -> str | None:
        """Open the run of a trial; return its id."""
        ...

    def end(self, trial: Trial) -> None:
        """Close it."""
        ...


@dataclass(frozen=True)
class Budget:
    """How much may be tried: `trials` that end, or `seconds` that they take together."""

    trials: int | None
    seconds: float | None

    def left(self, ended: Sequence[Trial], under_way: Collection[Asked]) -> bool:
        """Return whether another trial may begin."""
        if self.trials is not None:
            return len(ended) + len(under_way) < self.trials
        assert self.seconds is not None
        now = time.monotonic()
        spent = math.fsum(one.seconds for one in ended if not math.isnan(one.seconds))
        return spent + math.fsum(now - one.started for one in under_way) < self.seconds


def search(history: History, crew: Crew, budget: Budget, book: Book, *, prune: bool) -> None:
    """Try until the budget is spent.

    With `prune` the workers report epoch by epoch. Raises DataError when no worker can begin.
    """
    under_way: dict[Worker, Asked] = {}
    while True:
        for worker, answer in crew.answers():
            asked = under_way.get(worker)
            if "epoch" in answer:
                assert asked is not None
                stop = asked.report(answer["epoch"], answer["value"])
                worker.send({"go": not stop})
                continue
            if asked is not None:
                del under_way[worker]
                _ended(history, book, asked, answer)
            elif "died" in answer:
                raise DataError(f"a worker could not begin: {answer['died']}")
            if "died" not in answer and budget.left(history.trials(), under_way.values()):
                under_way[worker] = _begin(history, book, worker, report=prune)
        if not under_way and not budget.left(history.trials(), ()):
            return


def _begin(history: History, book: Book, worker: Worker, *, report: bool) -> Asked:
    asked = history.ask()
    history.opened(asked, book.begin(asked.number, asked.values))
    worker.send({"values": asked.values, "report": report})
    return asked


def _ended(history: History, book: Book, asked: Asked, answer: dict[str, Any]) -> None:
    """Keep what a worker said of its trial."""
    if "value" in answer:
        trial = history.tell(asked, "COMPLETE", answer["value"])
    elif "pruned" in answer:
        trial = history.tell(asked, "PRUNED", asked.last)
    else:
        trial = history.tell(asked, "FAIL", math.nan, answer.get("error") or answer["died"])
    book.end(trial)
    log.info("trial %d %s", trial.number, _text(trial))


def _text(trial: Trial) -> str:
    values = ", ".join(f"{name}={value}" for name, value in trial.values.items())
    if trial.state == "FAIL":
        return f"failed ({values}): {trial.error}"
    stopped = ", stopped early" if trial.state == "PRUNED" else ""
    return f"{trial.value:.4f}{stopped} ({values}; {trial.seconds:.1f} s)"
