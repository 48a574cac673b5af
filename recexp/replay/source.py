"""A live source: events as they come, until they end or somebody stops them."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np

from recexp.arrays import BoolArray
from recexp.data.dataset import Dataset
from recexp.evaluation.metrics import mlflow_name, select
from recexp.evaluation.registry import Kind
from recexp.plan import Plan
from recexp.replay.settings import Settings
from recexp.streaming.events import Event
from recexp.streaming.prequential import Replay
from recexp.streaming.sources import Lines, kafka_lines
from recexp.streaming.windows import measure

log = logging.getLogger(__name__)


def incoming(settings: Settings, lines: Lines) -> Iterator[Event]:
    """Return the events of a live source."""
    if settings.source == "-":
        return lines.events(sys.stdin.buffer)
    return lines.events(kafka_lines(settings.source, settings.idle_seconds))


def follow(
    stream: Replay,
    events: Iterator[Event],
    settings: Settings,
    plan: Plan,
) -> None:
    """Feed what comes in until it ends, with a line of figures now and then."""
    told = 0
    for n, event in enumerate(_until_stopped(events), start=1):
        stream.feed(event)
        if n % settings.log_every == 0:
            told = _tell(stream, told, plan)
        if n == settings.max_events:
            return


def _tell(stream: Replay, told: int, plan: Plan) -> int:
    """Log the figures of the tests since number `told`; return how many there are."""
    tests = stream.tests(told)
    counts = f"{stream.facts['n_events']:,} events, {stream.facts['n_tests']:,} tested"
    if not len(tests):
        log.info("%s", counts)
        return told
    train = stream.live.histories.grown()
    candidates = candidates_of(stream, train, plan)
    shown = [one for one in select(plan.metrics, ()) if one.metric.kind is Kind.RELEVANCE]
    found = measure(tests, None, train, shown, candidates=candidates, n_resamples=0).metrics
    best = plan.frame.objective
    names = [one.name for one in shown if one.metric.name in ("hit_rate", "mrr")]
    names = [best, *(name for name in names if name.endswith(f"@{best.partition('@')[2]}"))]
    figures = ", ".join(f"{name} {found[mlflow_name(name)]:.4f}" for name in names)
    log.info("%s; of the last %d: %s", counts, len(tests), figures)
    return stream.facts["n_tests"]


def _until_stopped(events: Iterator[Event]) -> Iterator[Event]:
    """Yield events until they end or somebody stops it (Ctrl-C, SIGTERM), never within one."""
    if threading.current_thread() is not threading.main_thread():
        yield from events
        return
    state = {"waiting": False, "stopped": False}

    def stop(number: int, frame: Any) -> None:
        state["stopped"] = True
        if state["waiting"]:
            raise KeyboardInterrupt

    signals = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(one, stop) for one in signals]
    try:
        while not state["stopped"]:
            state["waiting"] = True
            try:
                event = next(events, None)
            except KeyboardInterrupt:
                event = None
            finally:
                state["waiting"] = False
            if event is None:
                break
            yield event
        if state["stopped"]:
            log.info("stopped")
    finally:
        for one, handler in zip(signals, before, strict=True):
            signal.signal(one, handler)


def candidates_of(stream: Replay, train: Dataset, plan: Plan) -> BoolArray:
    """Return what could be recommended in the stream, bool (n_items,)."""
    if plan.candidates == "all":
        return np.ones(train.n_items, np.bool_)
    candidates = train.interactions.item_counts() > 0
    candidates[stream.items] = True
    return candidates
