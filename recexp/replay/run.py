"""A replay from the data to the record: a stream that goes by, tested and then learned from."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from recexp.algorithms.base import PredictsRatings, check_memory, check_needs, deterministic
from recexp.config import compose
from recexp.data.dataset import Dataset
from recexp.data.preprocess import StepReport, apply, k_core
from recexp.errors import ConfigError, DataError
from recexp.evaluation.metrics import select
from recexp.evaluation.registry import Kind
from recexp.experiment import Stopwatch, peak_mb, sizes, with_threshold
from recexp.fitted import FittedModel
from recexp.plan import Plan, plan
from recexp.progress import progress
from recexp.provenance import provenance
from recexp.recording import (
    clear,
    config_hash,
    ending,
    finish,
    new_folder,
    output_folder,
    size_mb,
)
from recexp.replay.record import ReplayResult, closing, config_of, opened, write
from recexp.replay.settings import Settings, read_settings
from recexp.replay.source import candidates_of, follow, incoming
from recexp.reporting.replay_outcome import ReplayOutcome, replay_metrics, window_metrics
from recexp.rng import derive
from recexp.splits.audit import audit
from recexp.splits.base import Split
from recexp.splits.described import Described
from recexp.streaming.events import Event, Meaning
from recexp.streaming.live import LiveModel
from recexp.streaming.prequential import Replay
from recexp.streaming.sources import Lines, in_time, kafka_address, of_dataset
from recexp.streaming.windows import check_measures, edges, latency, measure, measure_windows
from recexp.tracking.base import Record
from recexp.tracking.mlflow_tracker import MlflowTracker
from recexp.tracking.records import RunReader

log = logging.getLogger(__name__)


def replay(*overrides: str, config_dir: Path | None = None) -> ReplayResult:
    """Replay the stream that `overrides` describe, as `recexp replay` does, and record it.

    Raises RecexpError for what the caller can mend.

    Example: `replay("algo=als", "dataset=movielens", "policy=fold_in").metrics["ndcg_at_10"]`
    """
    settings, planned = replay_plan(overrides, config_dir)
    return run_replay(settings, planned)


def replay_once(*overrides: str) -> str:
    """Return the id of the finished replay of these overrides, replaying if there is none.

    Raises RecexpError as `replay` does, and ConfigError without a record.
    """
    settings, planned = replay_plan(overrides)
    if not isinstance(planned.tracker, MlflowTracker):
        raise ConfigError("a replay is found again by its record: leave out tracking=none")
    wanted = config_hash(config_of(settings, planned))
    reader = RunReader(planned.tracker.uri)
    name = planned.frame.experiment_name
    for run in reader.of_experiment(name) if name in reader.store.experiments() else ():
        if run.tags.get("recexp.config_hash") == wanted and run.key.status == "FINISHED":
            return run.run_id
    run_id = run_replay(settings, planned).run_id
    assert run_id is not None
    return run_id


def replay_plan(overrides: Sequence[str], config_dir: Path | None = None) -> tuple[Settings, Plan]:
    """Return what a replay will do; raises ConfigError for the first thing that cannot work."""
    settings, rest = read_settings(overrides)
    cut = ["split=temporal", f"split.test_fraction={1 - settings.warmup_fraction!r}"]
    planned = plan(compose([*rest, *cut], config_dir), config_dir)
    recommender = planned.recommender()
    settings.followed().check(recommender)
    measures = select(planned.metrics, ())
    check_measures(measures)
    for one in measures:
        if one.metric.kind is Kind.ERRORS and not isinstance(recommender, PredictsRatings):
            name = type(recommender).__name__
            raise ConfigError(f"metric '{one.name}': {name} predicts no ratings; leave it out")
    if settings.source.startswith("kafka"):
        kafka_address(settings.source)
    return settings, planned


def run_replay(settings: Settings, plan: Plan) -> ReplayResult:
    """Replay a stream: load, cut, fit, test and learn, measure, record."""
    clock = Stopwatch()
    origin = provenance()
    output = output_folder(Path(plan.frame.output_dir))
    with clock("load"):
        dataset, steps = _prepared(plan)
    log.info("%s: %s", dataset.name, sizes(dataset))
    check_memory(plan.recommender(), dataset)
    split, events, facts = _stream(settings, plan, dataset)
    recommender = plan.recommender()
    check_needs(recommender, split.train)
    if plan.list_length > dataset.n_items:
        raise ConfigError(
            f"a cutoff of {plan.list_length} exceeds the catalogue of {dataset.name}, "
            f"{dataset.n_items} items; lower cutoffs, and objective if it names one"
        )
    if not deterministic(recommender):
        log.warning("algo.threads > 1: no two fits of %s are alike", type(recommender).__name__)
    tracked = plan.tracker.begin(
        plan.frame.experiment_name,
        run_name(settings, plan),
        plan.frame.parent_run_id,
        opened(settings, plan, origin, dataset, split, recommender),
    )
    with ending(tracked):
        with clock("fit"):
            recommender.fit(split.train)
        tracked.check()
        live = LiveModel(FittedModel(recommender, split.train, plan.seed, plan.candidates))
        stream = Replay(
            live,
            settings.followed(),
            plan.list_length,
            exclude_seen=plan.frame.exclude_seen,
            rating_fallback=plan.rating_fallback,
        )
        lines = Lines(Meaning.of(split.train))
        with clock("stream"):
            if settings.live:
                follow(stream, incoming(settings, lines), settings, plan)
            else:
                for event in progress(events, "replay", total=len(split.test)):
                    stream.feed(event)
        facts |= {**stream.facts, "n_bad_lines": lines.n_bad, "bad_lines": lines.first_bad}
        outcome = _outcome(settings, plan, stream, facts, clock)
        audited = None if settings.live else audit(split)
        final = stream.final()
        folder = new_folder(
            output,
            outcome.name,
            lambda empty: write(empty, settings, plan, outcome, origin, final, audited, steps),
        )
        metrics = replay_metrics(outcome) | {"model/size_mb": size_mb(folder / "model")}
        record = Record(
            metrics, steps=window_metrics(outcome), tags=closing(settings, outcome, folder)
        )
        run_id = finish(tracked, record, folder)
    if run_id is not None:
        clear(folder, output)
    return ReplayResult(metrics, run_id, outcome, None if run_id else folder)


def _outcome(
    settings: Settings, plan: Plan, stream: Replay, facts: Mapping[str, Any], clock: Stopwatch
) -> ReplayOutcome:
    """Measure the stream that went by, and its windows."""
    with clock("evaluate"):
        tests, rated = stream.tests(), stream.rated()
        pairs = None if rated is None else rated[0]
        train = stream.live.histories.grown()
        measures = select(plan.metrics, ())
        candidates = candidates_of(stream, train, plan)
        options: Any = {"candidates": candidates, "seed": plan.seed}
        whole = measure(tests, pairs, train, measures, **options)
        times = np.array(stream.times, np.int64)
        borders = edges(times, settings.identity().get("n_windows"), settings.window)
        if settings.window is not None and borders[1] - borders[0] > settings.window:
            log.warning("window is longer than asked for: 1,000 windows are the most")
        windows = measure_windows(borders, times, tests, rated, train, measures, **options)
        measured = tuple(windows)
    clock.seconds["total"] = clock.elapsed()
    return ReplayOutcome(
        name=run_name(settings, plan),
        names={**plan.names, "split": "replay"},
        policy=settings.policy,
        objective=plan.frame.objective,
        seed=plan.seed,
        dataset=train,
        tests=tests,
        evaluation=whole,
        windows=measured,
        latencies={
            "score": latency(tests.seconds),
            "update": latency(np.array(stream.update_seconds)),
            "refit": latency(np.array(stream.refit_seconds)),
        },
        facts=facts,
        seconds=clock.seconds,
        peak_mb=peak_mb(),
        fallback_share=None if pairs is None else pairs.fallback_share,
    )


def run_name(settings: Settings, plan: Plan) -> str:
    """Return the name of a replay's run."""
    names = plan.names
    return plan.frame.run_name or f"{names['algo']}-{names['dataset']}-replay-{settings.policy}"


def _prepared(plan: Plan) -> tuple[Dataset, Sequence[StepReport]]:
    dataset, steps = apply(plan.load(), plan.steps, derive(plan.seed, "preprocess"))
    for step in steps:
        log.info("%s", step)
    for name, bound in plan.steps.items():
        if getattr(bound, "func", bound) is k_core:
            log.warning(
                "preprocess.%s keeps users and items by what they do later in the stream", name
            )
    return with_threshold(dataset, plan), steps


def _stream(
    settings: Settings, plan: Plan, dataset: Dataset
) -> tuple[Split, Iterable[Event], dict[str, Any]]:
    """What the model is fitted on (and what comes after), the events, and what is told of them."""
    split_rng = derive(plan.seed, "split")
    if settings.live:
        assert isinstance(plan.split, Described)
        return replace(plan.split, protocol=_all_of_it)(dataset, split_rng), (), {}
    if dataset.interactions.timestamp is None:
        raise DataError(
            f"{dataset.name} has no timestamps, and a replay goes by time: set "
            "dataset.columns.timestamp"
        )
    split = plan.split(dataset, split_rng)
    order = in_time(split.test, derive(plan.seed, "stream"))[: settings.max_events]
    rows = split.test.select(order)
    if not len(dataset.with_interactions(rows).positives()):
        raise DataError(
            f"no event of the stream is relevant: none of its {len(rows):,} has a value of "
            f"at least {dataset.relevance_threshold}; lower relevance_threshold or "
            "warmup_fraction"
        )
    facts = {"n_warmup": len(split.train.interactions)}
    if not dataset.explicit:
        facts["n_values_as_1"] = int(np.count_nonzero(rows.value != 1))
    # Sorted, so that the stream is the same one whatever was drawn within a second.
    streamed = replace(split, test=split.test.select(np.sort(order)))
    return streamed, of_dataset(split.train, rows), facts


def _all_of_it(dataset: Dataset, rng: np.random.Generator) -> Split:
    """The protocol of a source that comes after the dataset: all of it is fitted on."""
    return Split(dataset, dataset.interactions.select(np.empty(0, np.int64)))
