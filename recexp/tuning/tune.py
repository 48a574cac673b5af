"""Hyperparameter search: on validation data only, and at the end one test run with the best."""

from __future__ import annotations

import hashlib
import logging
import math
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from recexp import build
from recexp.algorithms.base import Iterative
from recexp.config import Composed, compose
from recexp.early_stopping import check_objective
from recexp.errors import ConfigError, StorageError
from recexp.evaluation.metrics import mlflow_name, parse_metric
from recexp.experiment import run_composed
from recexp.lifecycle import alone
from recexp.plan import Plan, plan
from recexp.recording import config_hash, ending
from recexp.tracking.base import Record, TrackedRun, Tracker
from recexp.tracking.mlflow_tracker import MlflowTracker, recorder, tracking_uri
from recexp.tracking.recorder import sqlite_path
from recexp.tracking.records import RunReader
from recexp.tuning.crew import Crew
from recexp.tuning.files import write_tuning
from recexp.tuning.history import History, Trial
from recexp.tuning.search import Budget, search
from recexp.tuning.settings import Settings, read_settings, search_node
from recexp.tuning.space import Value, parse_space
from recexp.tuning.summary import Summary, TestRun, summarize

log = logging.getLogger(__name__)


def tune(*overrides: str, config_dir: Path | None = None) -> Summary:
    """Search hyperparameters as `recexp tune` does, record the search, and return its summary.

    `overrides` are those of a run, with `trials=N` or `seconds=S` and the other keys of `Settings`,
    and changes to the search space (`search.n_factors.high=64`). A study that was stopped goes on
    when the same is asked for again. Raises RecexpError for what the caller can mend.

    Example: `recexp.tune("algo=lightfm", "trials=20").best.values`
    """
    settings, base, changes = read_settings(overrides)
    ready, composed = _plan(base, config_dir)
    name = composed.choices["algo"]
    node = search_node(settings.search or name, changes, config_dir)
    space = parse_space(node, ready.frame.algo, name)
    identity = {"space": space.fingerprint, "configuration": config_hash(_plain(composed))}
    study = settings.study or f"{ready.run_name}-{_digest(identity)}"
    database = _database(ready.tracker)
    with alone(f"tune {database} {study}"):
        if isinstance(ready.tracker, MlflowTracker):
            recorder()
        history = History(
            database,
            study,
            space,
            {"configuration": identity["configuration"]},
            lower_is_better=parse_metric(ready.frame.objective).metric.lower_is_better,
            seed=ready.seed,
            prune=settings.prune,
            parallel=settings.n_jobs > 1,
        )
        if history.trials():
            if not settings.resume:
                raise ConfigError(
                    f"study={study} exists with {len(history.trials())} trials; leave out "
                    "resume=false, or choose another name (study=NAME)"
                )
            log.info("study %s goes on after %d trials", study, len(history.trials()))
        return _tuned(settings, base, ready, history, config_dir)


def _tuned(
    settings: Settings,
    base: Sequence[str],
    ready: Plan,
    history: History,
    config_dir: Path | None,
) -> Summary:
    """Search and test under one parent run."""
    parent = _parent(ready, history, settings)
    with ending(parent):
        parent_id = parent.run_id()
        history.note("parent_run_id", parent_id)
        book = Notebook(ready, history, parent_id)
        book.complete()
        budget = Budget(settings.trials, settings.seconds)
        if budget.left(history.trials(), []):
            # Only now: how many cores a worker has is no part of what is searched.
            _, composed = _plan([*base, *_threads(base, settings.n_jobs)], config_dir)
            config, choices = _plain(composed), dict(composed.choices)
            with Crew(settings.n_jobs, config, choices, config_dir) as crew:
                prune = settings.prune and isinstance(ready.recommender(), Iterative)
                search(history, crew, budget, book, prune=prune)
        summary = summarize(history, ready.names, ready.frame.objective, ready.seed)
        test = _test(summary.best, base, history, parent_id, ready, config_dir)
        summary = summary.tested(test)
        folder = Path(tempfile.mkdtemp(prefix="recexp-tune-"))
        try:
            write_tuning(folder / "tuning", summary)
            parent.log(Record(metrics=_metrics(summary), folder=folder))
            run_id = parent.end("FINISHED")
        finally:
            shutil.rmtree(folder)
    return summary.recorded(run_id)


class Notebook:
    """Records the trials as nested runs."""

    def __init__(self, ready: Plan, history: History, parent_id: str | None) -> None:
        self._plan, self._history, self._parent = ready, history, parent_id
        self._open: dict[int, TrackedRun] = {}

    def begin(self, number: int, values: dict[str, Value]) -> str | None:
        """Open the run of a trial; return its id."""
        record = Record(
            params={**self._plan.names, "seed": str(self._plan.seed)}
            | {f"algo.{name}": str(value) for name, value in values.items()},
            tags={"recexp.kind": "trial", "recexp.trial": str(number)},
        )
        run = self._plan.tracker.begin(
            self._plan.frame.experiment_name, f"trial {number}", self._parent, record
        )
        self._open[number] = run
        return run.run_id()

    def end(self, trial: Trial) -> None:
        """Write down how a trial ended, and close its run."""
        self._close(self._open.pop(trial.number), trial)

    def complete(self) -> None:
        """Finish the records of trials that ended just before the process did."""
        for trial in self._history.trials():
            if not trial.recorded and trial.run_id is not None:
                self._close(self._plan.tracker.resume(trial.run_id), trial)

    def _close(self, run: TrackedRun, trial: Trial) -> None:
        metrics = {"time/total_seconds": trial.seconds}
        if not math.isnan(trial.value):
            metrics[f"val/{mlflow_name(self._plan.frame.objective)}"] = trial.value
        tags = {"recexp.state": trial.state}
        if trial.error is not None:
            tags["recexp.reason"] = trial.error
        run.log(Record(metrics=metrics, tags=tags))
        run.end("FAILED" if trial.state == "FAIL" else "FINISHED")
        self._history.recorded(trial.number)


def _plan(base: Sequence[str], config_dir: Path | None) -> tuple[Plan, Composed]:
    """The plan of the experiment with a validation part."""
    composed = compose(base, config_dir)
    if composed.config.validation is None:
        composed = compose([*base, "validation=same"], config_dir)
        if composed.choices["split"] == "predefined":
            raise ConfigError(
                "tune needs validation data, and split=predefined makes none: add "
                "split@validation=random, or another split of the training side"
            )
    ready = plan(composed, config_dir)
    if ready.early_stopping is not None:
        raise ConfigError("early_stopping and tune both choose epochs: leave out early_stopping")
    check_objective(ready.frame.objective, "tune")
    return ready, composed


def _plain(composed: Composed) -> dict[str, Any]:
    plain: dict[str, Any] = build.plain(composed.config)
    return plain


def _threads(base: Sequence[str], n_jobs: int) -> list[str]:
    """Share the cores among the workers, unless the user did."""
    if n_jobs == 1 or any(text.startswith("threads=") for text in base):
        return []
    return [f"threads={max(1, (os.cpu_count() or 1) // n_jobs)}"]


def _digest(identity: dict[str, str]) -> str:
    return hashlib.sha256("/".join(identity.values()).encode()).hexdigest()[:8]


def _database(tracker: Tracker) -> Path:
    """Where trials are kept: beside a local tracking store, else in the working folder."""
    uri = tracker.uri if isinstance(tracker, MlflowTracker) else tracking_uri()
    store = sqlite_path(uri)
    folder = Path.cwd() if store is None else store.parent
    if not os.access(folder, os.W_OK):
        raise StorageError(f"the trials cannot be kept in {folder}: it cannot be written")
    return folder / "tuning.db"


def _parent(ready: Plan, history: History, settings: Settings) -> TrackedRun:
    """The run of the study: that of its first part if it is still there, else a new one."""
    known = history.attribute("parent_run_id")
    tracker = ready.tracker
    if known is not None and isinstance(tracker, MlflowTracker) and _found(tracker.uri, known):
        return tracker.resume(known)
    name = ready.frame.run_name or f"tune {ready.run_name}"
    params = {**ready.names, "seed": str(ready.seed), "objective": ready.frame.objective}
    params |= {"study": history.name, "space": str(history.space.document())[:6000]}
    return tracker.begin(
        ready.frame.experiment_name,
        name,
        ready.frame.parent_run_id,
        Record(params=params, tags={"recexp.kind": "tuning"}),
    )


def _found(uri: str, run_id: str) -> bool:
    try:
        RunReader(uri).named([run_id])
    except StorageError:
        return False
    return True


def _test(
    best: Trial,
    base: Sequence[str],
    history: History,
    parent_id: str | None,
    ready: Plan,
    config_dir: Path | None,
) -> TestRun:
    """Run the best configuration on the test data, unless that has been done."""
    overrides = [*base, *best_overrides(best)]
    known = history.attribute("test")
    if known is not None and known["trial"] == best.number and parent_id is not None:
        assert isinstance(ready.tracker, MlflowTracker)
        if _found(ready.tracker.uri, known["run_id"]):
            record = RunReader(ready.tracker.uri).named([known["run_id"]])[0]
            return TestRun(record.run_id, dict(record.metrics), tuple(overrides))
    log.info("test run with the best of %d trials", len(history.trials()))
    child = [] if parent_id is None else [f"parent_run_id={parent_id}"]
    result = run_composed(compose([*overrides, *child], config_dir), config_dir)
    if result.run_id is not None:
        history.note("test", {"trial": best.number, "run_id": result.run_id})
    return TestRun(result.run_id, dict(result.metrics), tuple(overrides))


def best_overrides(trial: Trial) -> list[str]:
    """Return the values of a trial as overrides of a run."""
    return [f"algo.{name}={override_text(value)}" for name, value in trial.values.items()]


def override_text(value: Value) -> str:
    """Return a value as Hydra reads it back.

    >>> override_text(None), override_text(True), override_text(1e-05), override_text("warp-kos")
    ('null', 'true', '1e-05', 'warp-kos')
    """
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _metrics(summary: Summary) -> dict[str, float]:
    """What the parent run shows: the best on validation, the test of it, and the counts."""
    objective = mlflow_name(summary.objective)
    return dict(summary.test.metrics if summary.test else {}) | {
        f"val/{objective}": summary.best.value,
        "tuning/trials": float(len(summary.trials)),
        "tuning/seconds": summary.seconds,
    }
