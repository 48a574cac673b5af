"""The files of a run: what MLflow keeps as its artifacts."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from recexp import artifact
from recexp.algorithms.base import HasState
from recexp.arrays import AnyArray
from recexp.data.arrow import arrow_ids, write_parquet
from recexp.data.ids import IdMap
from recexp.early_stopping import Curve
from recexp.errors import StorageError
from recexp.evaluation.summary import Estimate
from recexp.profiling.dataset import profile
from recexp.reporting.outcome import Outcome


def write_run(folder: Path, outcome: Outcome, provenance: Mapping[str, Any]) -> None:
    """Write all files of a run but its plots into an empty folder."""
    write_yaml(folder / "config.yaml", outcome.config)
    write_json(folder / "provenance.json", provenance)
    write_json(folder / "split_audit.json", outcome.audit.facts)
    write_json(folder / "data_profile.json", profile(outcome.dataset))
    write_metrics(folder / "metrics.csv", estimates(outcome))
    if outcome.early_stopping is not None:
        _write_curve(folder / "early_stopping.csv", outcome.early_stopping)
    write_per_user(folder / "per_user.parquet", outcome.dataset.users, outcome.evaluation.per_user)
    _write_recommendations(folder / "recommendations.parquet", outcome)
    if isinstance(outcome.recommender, HasState):
        candidates: Any = "train" if outcome.config["candidates"] == "train" else "all"
        fitted = artifact.FittedModel(
            outcome.recommender, outcome.split.train, outcome.seed, candidates
        )
        artifact.save(fitted, folder / "model")


def write_yaml(path: Path, values: Mapping[str, Any]) -> None:
    """Write plain values as YAML."""
    import yaml

    path.write_text(yaml.safe_dump(dict(values), sort_keys=False), encoding="utf-8")


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write plain values as JSON, what is none as text."""
    path.write_text(json.dumps(values, indent=1, default=str) + "\n", encoding="utf-8")


def write_metrics(path: Path, estimates: Iterable[tuple[str, Estimate]]) -> None:
    """Write estimates with their parts, as `read_estimates` reads them."""
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["part", "segment", "metric", "value", "ci_low", "ci_high", "n_users"])
        for part, one in estimates:
            numbers = [one.value, one.ci_low, one.ci_high]
            cells = ["" if number != number else repr(number) for number in numbers]
            rows.writerow([part, one.segment, one.metric, *cells, one.n_users])


def _write_curve(path: Path, curve: Curve) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["epochs", curve.objective])
        rows.writerows(curve.points)


def read_estimates(path: Path) -> list[tuple[str, Estimate]]:
    """Return the rows of a `metrics.csv`: its part (`test`, `val`, `sampled`) and the estimate.

    Raises StorageError for a file that is not one.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [(row["part"], _estimate(row)) for row in csv.DictReader(file)]
    except (OSError, KeyError, ValueError) as error:
        raise StorageError(f"{path} cannot be read as a table of metrics: {error}") from error


def _estimate(row: Mapping[str, str]) -> Estimate:
    value, low, high = (float(row[key] or "nan") for key in ("value", "ci_low", "ci_high"))
    return Estimate(row["metric"], row["segment"], value, low, high, int(row["n_users"]))


def metric_values(estimates: Iterable[tuple[str, Estimate]]) -> dict[str, float]:
    """Return the values by name: `ndcg@10`, `tail_items/ndcg@10`, `val/ndcg@10`."""
    return {
        "/".join(filter(None, ("val" if part == "val" else "", one.segment, one.metric))): one.value
        for part, one in estimates
    }


def estimates(outcome: Outcome) -> Iterator[tuple[str, Estimate]]:
    """Yield every estimate of a run with its part: test, val or sampled."""
    parts = {"test": outcome.evaluation, "val": outcome.validation, "sampled": outcome.sampled}
    for part, evaluation in parts.items():
        for one in () if evaluation is None else evaluation.table:
            yield part, one


def write_per_user(path: Path, users: IdMap, per_user: Mapping[str, AnyArray]) -> None:
    """Write the columns of `Evaluation.per_user`, with ids for idx."""
    columns = dict(per_user)
    ids = arrow_ids(users, columns.pop("user_idx"))
    write_parquet(path, {"user_id": ids, **columns})


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
