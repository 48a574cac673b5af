"""One experiment, from the data to the record: the line that everything else is a part of."""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recexp import build
from recexp.algorithms.base import Recommender, check_memory, check_needs, deterministic
from recexp.config import Composed, compose
from recexp.data.dataset import Dataset
from recexp.data.preprocess import apply
from recexp.early_stopping import Curve, measure_objective
from recexp.errors import ConfigError, DataError, redacted
from recexp.evaluation.evaluator import Evaluation, evaluate
from recexp.evaluation.judge import evaluated_users
from recexp.evaluation.ratings import RatedPairs, predict_ratings
from recexp.evaluation.recommend import Recommendations, recommend
from recexp.evaluation.sampled import SAMPLED_METRICS, evaluate_sampled
from recexp.evaluation.scoring import Scorer
from recexp.plan import Plan, plan
from recexp.provenance import provenance
from recexp.recording import (
    clear,
    closing_tags,
    ending,
    finish,
    opening,
    output_folder,
    size_mb,
    write_files,
)
from recexp.reporting.headline import headline
from recexp.reporting.outcome import Outcome
from recexp.reporting.tables import outcome_table
from recexp.rng import derive
from recexp.splits.audit import audit, check
from recexp.splits.base import Split, carve
from recexp.splits.predefined import save
from recexp.tracking.base import Record

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Result:
    """What a run returns.

    Attributes:
        metrics: the headline metrics under their MLflow names (`ndcg_at_10`).
        run_id: of MLflow; None with `tracking=none`.
        outcome: everything the run found.
        folder: where its files lie when no tracker took them.
    """

    metrics: Mapping[str, float]
    run_id: str | None
    outcome: Outcome
    folder: Path | None

    @cached_property
    def per_user(self) -> pd.DataFrame:
        """Every per-user metric, one row an evaluated user, with column `user_id`."""
        import pandas as pd

        columns: dict[str, Any] = dict(self.outcome.evaluation.per_user)
        users = columns.pop("user_idx")
        return pd.DataFrame(
            {"user_id": self.outcome.dataset.users.to_ids(users.tolist())} | columns
        )

    def document(self) -> dict[str, Any]:
        """Return the result as plain JSON values: run id, choices, metrics."""
        return {
            "run_id": self.run_id,
            "run_name": self.outcome.name,
            **self.outcome.names,
            "seed": self.outcome.seed,
            "metrics": dict(self.metrics),
        }

    def __str__(self) -> str:
        where = f"run id   {self.run_id}" if self.run_id else f"files    {self.folder}"
        return f"{outcome_table(self.outcome)}\n{where}"


def run(*overrides: str) -> Result:
    """Run the experiment that Hydra `overrides` describe, as `recexp run` does, and record it.

    Raises RecexpError for what the caller can mend.

    Example: `recexp.run("algo=svd", "split=random").metrics["rmse"]`
    """
    return run_composed(compose(overrides))


def run_composed(composed: Composed, config_dir: Path | None = None) -> Result:
    """Run a composed configuration and record it."""
    return run_plan(plan(composed, config_dir))


def run_plan(plan: Plan) -> Result:
    """Run a plan: load, prepare, split, fit, recommend, evaluate, record."""
    clock = Stopwatch()
    origin = provenance()
    output = output_folder(Path(plan.frame.output_dir))

    with clock("load"):
        dataset = plan.load()
    log.info("%s: %s", dataset.name, sizes(dataset))
    with clock("prepare"):
        dataset, steps = apply(dataset, plan.steps, derive(plan.seed, "preprocess"))
        dataset = with_threshold(dataset, plan)
    for step in steps:
        log.info("%s", step)
    recommender = plan.recommender()
    check_memory(recommender, dataset)
    if not plan.features and not plan.frame.profiles:  # else they may bring what is missing
        check_needs(recommender, dataset)
    if not deterministic(recommender):
        log.warning("algo.threads > 1: no two fits of %s are alike", type(recommender).__name__)
    with clock("split"):
        split = _restrict(plan.split(dataset, derive(plan.seed, "split")), plan.frame.users)
        audited = audit(split)
    check_needs(recommender, split.train)
    check(audited, plan.leakage, plan.frame.leakage_thresholds)
    if plan.save_split is not None:
        log.info("split saved in %s", save(split, plan.save_split))

    _check_measurable(plan, split)
    tracked = plan.tracker.begin(
        plan.frame.experiment_name,
        plan.run_name,
        plan.frame.parent_run_id,
        opening(plan, origin, dataset, split, recommender),
    )
    with ending(tracked):
        stopping = _stop_early(plan, split, clock)
        if stopping is not None:
            recommender = _with_epochs(recommender, stopping)
        validation = _validate(plan, split, clock, stopping) if plan.validate else None
        tracked.check()
        measured = _measure(plan, recommender, split, clock)
        tracked.check()
        clock.seconds["total"] = clock.elapsed()
        outcome = Outcome(
            name=plan.run_name,
            names=plan.names,
            config=redacted(build.plain(plan.composed.config)),
            objective=plan.frame.objective,
            seed=plan.seed,
            dataset=dataset,
            steps=steps,
            split=split,
            audit=audited,
            recommender=recommender,
            recommendations=measured.recommendations,
            ratings=measured.ratings,
            evaluation=measured.evaluation,
            validation=validation,
            sampled=measured.sampled,
            seconds=clock.seconds,
            peak_mb=peak_mb(),
            early_stopping=stopping,
        )
        metrics = headline(outcome)
        folder = write_files(output, plan, outcome, origin)
        metrics["model/size_mb"] = size_mb(folder / "model")
        run_id = finish(tracked, Record(metrics, tags=closing_tags(outcome, folder)), folder)
    if run_id is not None:
        clear(folder, output)
    return Result(metrics, run_id, outcome, None if run_id else folder)


@dataclass(frozen=True, eq=False)
class Measured:
    """A fitted recommender measured on the test of a split."""

    recommendations: Recommendations
    ratings: RatedPairs | None
    evaluation: Evaluation
    sampled: Evaluation | None


def _measure(plan: Plan, recommender: Recommender, split: Split, clock: Stopwatch) -> Measured:
    """Fit, recommend and evaluate."""
    frame = plan.frame
    with clock("fit"):
        recommender.fit(split.train)
    with clock("recommend"):
        recommendations = recommend(
            recommender,
            split,
            evaluated_users(split),
            plan.list_length,
            exclude_seen=frame.exclude_seen,
            candidates=plan.candidates,
            seed=plan.seed,
            threads=plan.threads,
        )
    with clock("evaluate"):
        trained = split.train.interactions.item_counts() > 0
        ratings = predict_ratings(recommender, split, plan.rating_fallback)
        scorer = Scorer(recommender, split)
        evaluation = evaluate(
            recommendations.lists,
            split,
            metrics=plan.metrics,
            ratings=ratings,
            scorer=scorer,
            candidates=trained if plan.candidates == "train" else None,
            exclude_seen=frame.exclude_seen,
            seed=plan.seed,
        )
        sampled = None
        if plan.n_negatives is not None:
            sampled = evaluate_sampled(
                scorer,
                split,
                n_negatives=plan.n_negatives,
                metrics=[m for m in plan.metrics if m.partition("@")[0] in SAMPLED_METRICS],
                exclude_seen=frame.exclude_seen,
                seed=plan.seed,
            )
    return Measured(recommendations, ratings, evaluation, sampled)


def _validate(plan: Plan, split: Split, clock: Stopwatch, stopping: Curve | None) -> Evaluation:
    """Measure a recommender of its own on a validation part of the training side."""
    recommender = plan.recommender()
    if stopping is not None:
        recommender = _with_epochs(recommender, stopping)
    with clock("validation"):
        return _measure(plan, recommender, _carved(plan, split), Stopwatch()).evaluation


def _stop_early(plan: Plan, split: Split, clock: Stopwatch) -> Curve | None:
    """Find on the validation part how many epochs to learn, if that is asked for."""
    if plan.early_stopping is None:
        return None
    measure = partial(
        measure_objective,
        objective=plan.frame.objective,
        exclude_seen=plan.frame.exclude_seen,
        candidates=plan.candidates,
        rating_fallback=plan.rating_fallback,
        seed=plan.seed,
        threads=plan.threads,
    )
    recommender, inner = plan.recommender(), _carved(plan, split)
    with clock("early_stopping"):
        curve = plan.early_stopping.watch(recommender, inner, plan.frame.objective, measure)
    log.info("%s", curve)
    return curve


def _carved(plan: Plan, split: Split) -> Split:
    assert plan.validate is not None
    return carve(split, plan.validate, derive(plan.seed, "validation"))


def _with_epochs(recommender: Any, stopping: Curve) -> Recommender:
    """The recommender, not fitted yet, with as many epochs as were best."""
    found: Recommender = replace(recommender, epochs=stopping.best.epochs)
    return found


class Stopwatch:
    """Wall-clock seconds by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._start = time.perf_counter()

    @contextlib.contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        log.info("%s ...", stage)
        start = time.perf_counter()
        yield
        self.seconds[stage] = time.perf_counter() - start

    def elapsed(self) -> float:
        """Seconds since the watch was made."""
        return time.perf_counter() - self._start


def training_part(plan: Plan) -> Split:
    """Return the validation split of a plan; the test side of the run is never looked at.

    Raises RecexpError as a run would, and when nothing in it can be measured.
    """
    assert plan.validate is not None
    dataset, _ = apply(plan.load(), plan.steps, derive(plan.seed, "preprocess"))
    split = plan.split(with_threshold(dataset, plan), derive(plan.seed, "split"))
    inner = _restrict(_carved(plan, split), plan.frame.users)
    _check_measurable(plan, inner)
    return inner


def with_threshold(dataset: Dataset, plan: Plan) -> Dataset:
    """Return a dataset with the relevance threshold that the plan sets, if it sets one."""
    threshold = plan.frame.relevance_threshold
    if threshold is None or not dataset.explicit:
        return dataset
    return replace(dataset, relevance_threshold=threshold)


def _check_measurable(plan: Plan, split: Split) -> None:
    """Raise for what would only show after the fit, or as a number that means nothing."""
    data = split.train
    if plan.list_length > data.n_items:
        raise ConfigError(
            f"a cutoff of {plan.list_length} exceeds the catalogue of {data.name}, "
            f"{data.n_items} items; lower cutoffs, and objective if it names one"
        )
    if len(evaluated_users(split)) == 0:
        raise DataError(
            f"no test interaction of {data.name} is relevant: none has a value of at least "
            f"{data.relevance_threshold}; lower relevance_threshold or test more"
        )


def _restrict(split: Split, users: str) -> Split:
    """The split with the test interactions of all, warm or cold users."""
    if users == "all":
        return split
    warm = split.train.interactions.user_counts()[split.test.user_idx] > 0
    test = split.test.select(warm if users == "warm" else ~warm)
    if len(test) == 0:
        raise DataError(
            f"users={users} leaves no test interaction; use users=all, or split=cold_user"
        )
    return replace(split, test=test)


def sizes(dataset: Dataset) -> str:
    """Return how large a dataset is, in words."""
    return (
        f"{len(dataset.interactions):,} interactions of {dataset.n_users:,} users "
        f"with {dataset.n_items:,} items"
    )


def peak_mb() -> float:
    """Return the peak resident memory of this process in MB; 0 where the system does not say."""
    try:
        import resource
    except ImportError:
        return 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak / 1e3
