"""A worker: a process that loads and splits the data once, then measures one trial after another.

It sees the training side of the split alone, carved into a smaller training side and a validation
side. It reads one JSON message a line and answers in JSON lines on the descriptor that standard
output was; whatever else is printed goes to standard error. It ends when its input does, so none
outlives the process that started it, and a trial that takes it down takes down no other.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from recexp.algorithms.base import Iterative, Recommender, check_needs
from recexp.config import recorded
from recexp.early_stopping import measure_objective
from recexp.errors import RecexpError
from recexp.experiment import training_part
from recexp.plan import Plan, plan
from recexp.splits.base import Split
from recexp.tuning.space import Space, Value


class Bench:
    """Where trials are measured: the validation split of a plan, ready.

    Raises RecexpError when there can be none.
    """

    def __init__(self, plan: Plan) -> None:
        self._split: Split = training_part(plan)
        self._measure = partial(
            measure_objective,
            objective=plan.frame.objective,
            exclude_seen=plan.frame.exclude_seen,
            candidates=plan.candidates,
            rating_fallback=plan.rating_fallback,
            seed=plan.seed,
            threads=plan.threads,
        )
        check_needs(plan.recommender(), self._split.train)

    def trial(self, recommender: Recommender, *, report: bool) -> Iterator[tuple[int, float]]:
        """Fit, and yield (epochs, objective) on the way; the last is that of the whole fit.

        With `report` an `Iterative` recommender is looked at after 1, 2, 4, ... epochs.
        """
        if not report or not isinstance(recommender, Iterative):
            recommender.fit(self._split.train)
            yield 0, self._measure(recommender, self._split)
            return
        last = recommender.epochs
        for epoch in recommender.fit_epochs(self._split.train):
            if epoch == last or epoch & (epoch - 1) == 0:
                yield epoch, self._measure(recommender, self._split)


class _Input:
    """The messages, read by a thread so that the end of the input is noticed at any time."""

    def __init__(self) -> None:
        self._messages: queue.Queue[dict[str, Any]] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in sys.stdin:
            self._messages.put(json.loads(line))
        os._exit(0)

    def next(self) -> dict[str, Any]:
        return self._messages.get()


def main() -> None:
    """Serve: first the configuration, then trials."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    messages = _Input()
    opening = messages.next()
    sys.path[:] = opening["path"]
    try:
        made = plan(recorded(opening["config"], opening["choices"], ()), _path(opening))
        bench = Bench(made)
    except RecexpError as error:
        _answer(answers, refused=str(error))
        return
    _answer(answers, ready=True)
    space = Space(made.frame.algo, {})
    while True:
        message = messages.next()
        try:
            _serve(bench, space, message["values"], message["report"], messages, answers)
        except Exception as error:
            # Out of memory, divergence, a combination that the constructor refuses: this trial
            # has failed, and the study goes on.
            _answer(answers, error=f"{type(error).__name__}: {error}".splitlines()[0][:500])


def _serve(
    bench: Bench,
    space: Space,
    values: Mapping[str, Value],
    report: bool,
    messages: _Input,
    answers: TextIO,
) -> None:
    """Measure one trial, telling of each epoch looked at; the other end says whether to go on."""
    start = time.perf_counter()
    steps = bench.trial(space.recommender(values), report=report)
    value = math.nan
    with contextlib.closing(steps):  # type: ignore[type-var]
        for epoch, value in steps:
            if math.isnan(value):
                raise ValueError("the objective is not a number")
            if epoch:
                _answer(answers, epoch=epoch, value=value)
                if not messages.next()["go"]:
                    _answer(answers, pruned=True, seconds=time.perf_counter() - start)
                    return
    _answer(answers, value=value, done=True, seconds=time.perf_counter() - start)


def _answer(answers: TextIO, **message: Any) -> None:
    with contextlib.suppress(BrokenPipeError):
        print(json.dumps(message), file=answers, flush=True)


def _path(opening: Mapping[str, Any]) -> Path | None:
    return None if opening["config_dir"] is None else Path(opening["config_dir"])


if __name__ == "__main__":
    main()
