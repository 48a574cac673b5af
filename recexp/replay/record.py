"""What of a replay is written down."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from recexp import artifact, build
from recexp.algorithms.base import HasState, Recommender
from recexp.data.dataset import Dataset
from recexp.data.interactions import Interactions
from recexp.data.preprocess import StepReport
from recexp.errors import redacted
from recexp.fitted import FittedModel
from recexp.plan import Plan
from recexp.profiling.dataset import profile
from recexp.provenance import threadpools
from recexp.recording import config_hash, opening
from recexp.replay.settings import Settings
from recexp.reporting import replay_plots
from recexp.reporting.files import write_json, write_metrics, write_per_user, write_yaml
from recexp.reporting.replay_outcome import (
    ReplayOutcome,
    replay_table,
    write_events,
    write_windows,
)
from recexp.splits.audit import Audit
from recexp.splits.base import Split
from recexp.tracking.base import Record
from recexp.tracking.store import MODEL_DIGEST


@dataclass(frozen=True, eq=False)
class ReplayResult:
    """What a replay returns.

    Attributes:
        metrics: those of the whole stream under their MLflow names (`ndcg_at_10`).
        run_id: of MLflow; None with `tracking=none`.
        outcome: everything the replay found.
        folder: where its files lie when no tracker took them.
    """

    metrics: Mapping[str, float]
    run_id: str | None
    outcome: ReplayOutcome
    folder: Path | None

    def document(self) -> dict[str, Any]:
        """Return the result as plain JSON values: run id, choices, metrics, windows."""
        return {
            "run_id": self.run_id,
            "run_name": self.outcome.name,
            **self.outcome.names,
            "policy": self.outcome.policy,
            "seed": self.outcome.seed,
            "metrics": dict(self.metrics),
            "windows": [
                {
                    "start": one.start,
                    "end": one.end,
                    "n_events": one.n_events,
                    "n_tests": one.n_tests,
                    "latency": dict(one.latency),
                    "metrics": one.evaluation.metrics if one.evaluation else {},
                }
                for one in self.outcome.windows
            ],
            "facts": dict(self.outcome.facts),
        }

    def __str__(self) -> str:
        where = f"run id   {self.run_id}" if self.run_id else f"files    {self.folder}"
        return f"{replay_table(self.outcome)}\n{where}"


def config_of(settings: Settings, plan: Plan) -> dict[str, Any]:
    """Return what decides the numbers of a replay: the run's configuration, and `stream`."""
    config: dict[str, Any] = redacted(build.plain(plan.composed.config))
    return {**config, "stream": settings.identity()}


def opened(
    settings: Settings,
    plan: Plan,
    origin: Mapping[str, Any],
    dataset: Dataset,
    split: Split,
    recommender: Recommender,
) -> Record:
    """Return what is known of a replay before it fits."""
    record = opening(plan, origin, dataset, split, recommender)
    params = {k: v for k, v in record.params.items() if k.partition(".")[0] != "split"}
    params["split"] = "replay"
    params |= {f"stream.{key}": text for key, text in settings.texts().items()}
    tags = {
        **record.tags,
        "recexp.config_hash": config_hash(config_of(settings, plan)),
        "recexp.split_fingerprint": stream_fingerprint(split),
        "mlflow.source.name": "recexp replay",
    }
    return replace(record, params=params, tags=tags)


def stream_fingerprint(split: Split) -> str:
    """Return the SHA-256 of what comes before a stream and in it; no run on a split has it."""
    return hashlib.sha256(f"replay {split.fingerprint}".encode()).hexdigest()


def closing(settings: Settings, outcome: ReplayOutcome, folder: Path) -> dict[str, str]:
    """Return the tags that are known when the stream has ended, its files in `folder`."""
    tags = {}
    if settings.live:
        tests, train = outcome.tests, outcome.dataset
        came = Interactions(
            tests.user_idx,
            tests.item_idx,
            tests.value.astype(np.float32),
            tests.timestamp,
            train.n_users,
            train.n_items,
        )
        tags["recexp.split_fingerprint"] = stream_fingerprint(Split(train, came))
    if outcome.fallback_share is not None:
        tags["recexp.rating_source"] = "predicted"
    if model := artifact.digest(folder / "model"):
        tags[MODEL_DIGEST] = model
    return tags


def write(
    folder: Path,
    settings: Settings,
    plan: Plan,
    outcome: ReplayOutcome,
    origin: Mapping[str, Any],
    final: FittedModel,
    audited: Audit | None,
    steps: Sequence[StepReport],
) -> None:
    """Write all files of a replay into an empty folder."""
    config = config_of(settings, plan)
    write_yaml(folder / "config.yaml", config)
    told = {
        **origin,
        "overrides": list(plan.composed.overrides),
        "choices": dict(plan.composed.choices),
        "stream": settings.identity(),
        "seed": outcome.seed,
        "threads": plan.threads,
        "threadpools": threadpools(),
        "config_hash": config_hash(config),
        "dataset_facts": dict(outcome.dataset.facts),
        "preprocess": [str(step) for step in steps],
        "stream_facts": dict(outcome.facts),
    }
    write_json(folder / "provenance.json", redacted(told))
    if audited is not None:
        write_json(folder / "split_audit.json", audited.facts)
    write_json(folder / "data_profile.json", profile(outcome.dataset))
    write_metrics(folder / "metrics.csv", (("test", one) for one in outcome.evaluation.table))
    write_windows(folder / "windows.csv", outcome)
    users = outcome.dataset.users
    write_per_user(folder / "per_user.parquet", users, outcome.evaluation.per_user)
    write_events(folder / "events.parquet", outcome)
    if plan.frame.plots:
        replay_plots.write(folder / "plots", outcome)
    if isinstance(final.recommender, HasState):
        artifact.save(final, folder / "model")
