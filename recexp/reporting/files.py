"""The files of a run: what MLflow keeps as its artifacts."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from recexp import artifact
from recexp.algorithms.base import HasState
from recexp.data.parquet import arrow_ids, write_parquet
from recexp.reporting.outcome import Outcome


def write_run(folder: Path, outcome: Outcome, provenance: Mapping[str, Any]) -> None:
    """Write all files of a run but its plots into an empty folder."""
    _write_yaml(folder / "config.yaml", outcome.config)
    _write_json(folder / "provenance.json", provenance)
    _write_json(folder / "split_audit.json", outcome.audit.facts)
    _write_metrics(folder / "metrics.csv", outcome)
    _write_per_user(folder / "per_user.parquet", outcome)
    _write_recommendations(folder / "recommendations.parquet", outcome)
    if isinstance(outcome.recommender, HasState):
        fitted = artifact.FittedModel(outcome.recommender, outcome.split.train, outcome.seed)
        artifact.save(fitted, folder / "model")


def _write_yaml(path: Path, values: Mapping[str, Any]) -> None:
    import yaml

    path.write_text(yaml.safe_dump(dict(values), sort_keys=False), encoding="utf-8")


def _write_json(path: Path, values: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(values, indent=1, default=str) + "\n", encoding="utf-8")


def _write_metrics(path: Path, outcome: Outcome) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["part", "segment", "metric", "value", "ci_low", "ci_high", "n_users"])
        parts = {"test": outcome.evaluation, "val": outcome.validation}
        for part, evaluation in (parts | {"sampled": outcome.sampled}).items():
            for one in () if evaluation is None else evaluation.table:
                numbers = [one.value, one.ci_low, one.ci_high]
                cells = ["" if number != number else repr(number) for number in numbers]
                rows.writerow([part, one.segment, one.metric, *cells, one.n_users])


def _write_per_user(path: Path, outcome: Outcome) -> None:
    columns = dict(outcome.evaluation.per_user)
    users = columns.pop("user_idx")
    write_parquet(path, {"user_id": arrow_ids(outcome.dataset.users, users), **columns})


def _write_recommendations(path: Path, outcome: Outcome) -> None:
    lists = outcome.recommendations.lists
    filled = lists.items >= 0
    rows, ranks = np.nonzero(filled)
    columns = {
        "user_id": arrow_ids(outcome.dataset.users, lists.users[rows]),
        "item_id": arrow_ids(outcome.dataset.items, lists.items[filled]),
        "rank": (ranks + 1).astype(np.int32),
        "score": lists.scores[filled],
    }
    write_parquet(path, columns)
