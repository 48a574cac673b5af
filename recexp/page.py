"""The page of an experiment: everything it recorded, gathered for `recexp.reporting.report`."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import recexp
from recexp.comparable import comparable, groups
from recexp.comparison import SIMPLE, compare_records, objective
from recexp.errors import ConfigError, StorageError
from recexp.evaluation.metrics import mlflow_name
from recexp.evaluation.pairs import Pairs
from recexp.evaluation.summary import Estimate
from recexp.reporting.checklist import Evidence, checklist
from recexp.reporting.files import read_estimates
from recexp.reporting.profile_text import profile_rows
from recexp.reporting.report import Report, Section, Study, render, spread
from recexp.reporting.report_figures import (
    comparison_figures,
    profile_figures,
    tuning_figure,
)
from recexp.reporting.report_rows import audit_rows, plain, provenance_rows
from recexp.tracking.records import RunReader, RunRecord

_OTHERS = ("precision", "recall", "map", "coverage", "novelty")
"""The metrics beside the objective, at its cutoff."""


def report(experiment: str, uri: str | None = None) -> str:
    """Return the report of an experiment as one HTML page that needs nothing else.

    Runs on the same split stand in one section, tested against each other. Raises StorageError for
    an unknown experiment or a store that cannot be read, ConfigError for one without runs.
    """
    reader = RunReader(uri)
    tags = reader.experiment_tags(experiment)
    runs = [
        run
        for run in reader.of_experiment(experiment)
        if run.tags.get("recexp.kind") != "trial"  # its search tells of it
    ]
    if not runs:
        raise ConfigError(f"experiment '{experiment}' in {reader.where} has no runs; run something")
    fit, notes = comparable(reader, runs)
    sections = [_section(reader, group) for group in groups(fit)]
    studies, trials, metric = _studies(reader, runs)
    question = tags.get("recexp.question") or tags.get("mlflow.note.content") or ""
    provenances = [
        found for run in fit if (found := _json(reader, run, "provenance.json")) is not None
    ]
    evidence = Evidence(
        question=question,
        runs=[_flat(run) for run in fit],
        provenances=provenances,
        audits=[found for group in groups(fit) if (found := _audit(reader, group)) is not None],
        simple=bool(fit) and all(_has_simple(group) for group in groups(fit)),
        tuned={name: len(values) for name, values in trials.items()},
        seeds=max((_seeds(group) for group in groups(fit)), default=0),
        reproduced=sum("recexp.reproduces" in run.tags for run in runs),
        profiled=bool(sections) and all(section.data for section in sections),
    )
    page = Report(
        name=experiment,
        question=question,
        facts=_facts(fit, runs, reader),
        sections=tuple(sections),
        studies=tuple(studies),
        tuning=tuning_figure(trials, metric) if trials else None,
        runs=tuple(_run_row(run) for run in runs),
        provenance=provenance_rows(provenances),
        packages=tuple(sorted(provenances[0]["packages"].items())) if provenances else (),
        checklist=tuple(checklist(evidence)),
        notes=tuple(notes),
    )
    return render(page)


def _section(reader: RunReader, runs: Sequence[RunRecord]) -> Section:
    """The part of the page on runs of one split."""
    name = objective(runs)
    found = compare_records(reader, runs, [name], segments=True)
    by_id = {run.run_id: run for run in runs}
    ordered = [by_id[run.run_id] for run in found.runs]
    cutoff = name.partition("@")[2]
    names = [f"{one}@{cutoff}" for one in _OTHERS if cutoff and f"{one}@{cutoff}" != name]
    names = [one for one in (*names, "rmse") if all(mlflow_name(one) in r.metrics for r in ordered)]
    others: Sequence[Pairs] = ()
    if names:
        compared = compare_records(reader, ordered, names)
        places = {run.run_id: i for i, run in enumerate(compared.runs)}
        order = [places[run.run_id] for run in ordered]
        others = [table.reordered(order) for table in compared.metrics]
    profile = _json(reader, ordered[0], "data_profile.json")
    return Section(
        comparison=found,
        others=tuple(others),
        figures=tuple(
            comparison_figures(
                found,
                [_estimates(reader, run) for run in ordered],
                [run.metrics for run in ordered],
            )
        ),
        split=audit_rows(_audit(reader, ordered)),
        data=() if profile is None else tuple(profile_rows(profile)),
        data_figures=() if profile is None else tuple(profile_figures(profile)),
    )


def _estimates(reader: RunReader, run: RunRecord) -> list[Estimate]:
    """The estimates of the whole test."""
    path = reader.artifact(run, "metrics.csv")
    rows = [] if path is None else read_estimates(path)
    return [one for part, one in rows if part == "test" and not one.segment]


def _audit(reader: RunReader, runs: Sequence[RunRecord]) -> dict[str, Any] | None:
    return _json(reader, runs[0], "split_audit.json")


_OF_STUDY = ("objective", "space", "default", "best", "importance")
"""What the page tells of a search's `report.json`, beside its warnings."""


def _studies(
    reader: RunReader, runs: Sequence[RunRecord]
) -> tuple[list[Study], dict[str, list[float]], str]:
    """Every hyperparameter search: its facts, its trials' values, and the metric they are of."""
    studies: list[Study] = []
    trials: dict[str, list[float]] = {}
    metric = objective(runs)
    for run in runs:
        if run.tags.get("recexp.kind") != "tuning":
            continue
        path = reader.artifact(run, "tuning/trials.csv")
        if path is None:
            continue
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        values = [float(row["value"]) for row in rows if row.get("value")]
        name = run.params.get("algo", run.name)
        name = f"{name} {run.run_id[:8]}" if name in trials else name
        trials[name] = values
        found = _json(reader, run, "tuning/report.json") or {}
        states = [row.get("state", "") for row in rows]
        seconds = sum(float(row["seconds"]) for row in rows if row.get("seconds"))
        facts = [("trials", f"{len(rows)} ({spread([f'{states.count(s)} {s}' for s in states])})")]
        facts += [("seconds in trials", f"{seconds:,.1f}")]
        facts += [(key, plain(found[key])) for key in _OF_STUDY if key in found]
        warnings = found.get("warnings", [])
        studies.append(Study(name, tuple(facts), tuple(map(str, warnings))))
    return studies, {name: values for name, values in trials.items() if values}, metric


def _facts(
    fit: Sequence[RunRecord], runs: Sequence[RunRecord], reader: RunReader
) -> tuple[tuple[str, str], ...]:
    days = [datetime.fromtimestamp(run.key.started / 1000, UTC) for run in runs]
    algorithms = sorted({run.params["algo"] for run in fit if "algo" in run.params})
    return (
        ("runs compared", f"{len(fit)} of {len(runs)} recorded"),
        ("algorithms", ", ".join(algorithms) or "none"),
        ("data", spread([run.params.get("dataset") for run in fit])),
        ("splits", spread([run.params.get("split") for run in fit])),
        ("seeds", spread([run.params.get("seed") for run in fit])),
        ("recorded", f"{min(days):%Y-%m-%d %H:%M} to {max(days):%Y-%m-%d %H:%M} UTC"),
        ("page made", f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC by recexp {recexp.__version__}"),
    )


def _run_row(run: RunRecord) -> tuple[str, ...]:
    started = datetime.fromtimestamp(run.key.started / 1000, UTC)
    seconds = run.metrics.get("time/total_seconds")
    kind = run.tags.get("recexp.kind")
    status = run.key.status.lower() + (f", {kind}" if kind else "")
    if "recexp.reproduces" in run.tags:
        status += f", reproduces {run.tags['recexp.reproduces'][:8]}"
    return (
        run.run_id[:8],
        run.name,
        status,
        f"{started:%Y-%m-%d %H:%M:%S}",
        "" if seconds is None else f"{seconds:.2f}",
        run.tags.get("recexp.config_hash", "")[:12],
    )


def _json(reader: RunReader, run: RunRecord, name: str) -> dict[str, Any] | None:
    """A JSON artifact; None when the run has none."""
    path = reader.artifact(run, name)
    if path is None:
        return None
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise StorageError(f"{path} is damaged: {error}") from error
    return found


def _flat(run: RunRecord) -> dict[str, Any]:
    named = {"params": run.params, "metrics": run.metrics, "tags": run.tags}
    return {f"{of}.{key}": value for of, values in named.items() for key, value in values.items()}


def _has_simple(runs: Sequence[RunRecord]) -> bool:
    return any(run.params.get("algo") in SIMPLE for run in runs)


def _seeds(runs: Sequence[RunRecord]) -> int:
    """The most seeds that any one algorithm has."""
    by_algo: dict[str, set[str]] = {}
    for run in runs:
        by_algo.setdefault(run.params.get("algo", ""), set()).add(run.params.get("seed", ""))
    return max(map(len, by_algo.values()))
