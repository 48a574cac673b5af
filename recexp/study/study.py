"""Running a study: its steps, its tables, its report."""

from __future__ import annotations

import csv
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recexp.config import sweep_values
from recexp.errors import ConfigError, RecexpError, StorageError
from recexp.lifecycle import alone
from recexp.page import report
from recexp.recording import ending
from recexp.replay.run import replay_once
from recexp.study.definition import Rows, Study
from recexp.study.found import Found, Tuned
from recexp.sweep import run_sweep
from recexp.tracking.base import Record
from recexp.tracking.mlflow_tracker import MlflowTracker, recorder
from recexp.tracking.records import RunReader
from recexp.tuning.tune import tune

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StudyResult:
    """A study that has run: its tables by title, what failed, and where the files are."""

    study: Study
    tables: Mapping[str, Rows]
    failed: tuple[str, ...]
    folder: Path

    def document(self) -> dict[str, Any]:
        """Return the result as plain JSON values."""
        return {
            "study": self.study.name,
            "question": self.study.question,
            "experiment": self.study.experiment,
            "tables": {
                title: [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]
                for title, rows in self.tables.items()
            },
            "failed": list(self.failed),
            "folder": str(self.folder),
        }

    def __str__(self) -> str:
        lines = [self.markdown()]
        lines += [f"failed   {text}" for text in self.failed]
        return "\n".join([*lines, f"files    {self.folder}"])

    def markdown(self) -> str:
        """Return the tables in Markdown: what `results.md` holds."""
        blocks = [f"# {self.study.name}: results", self.study.question]
        for title, rows in self.tables.items():
            blocks.append(f"## {title}\n\n{_markdown(rows)}")
        return "\n\n".join(blocks) + "\n"


def run_study(study: Study, output: Path) -> StudyResult:
    """Run what is missing of a study, and write `results.md`, `results.csv` and `report.html`.

    Stopped at any moment, the same call goes on: finished runs and trials are found in the record.
    Raises RecexpError for what no step could do.
    """
    tracker = MlflowTracker()
    with alone(f"study {tracker.uri} {study.experiment}"):
        recorder()
        tags = {"recexp.kind": "study", "recexp.question": study.question}
        tracked = tracker.begin(study.experiment, f"study {study.name}", None, Record(tags=tags))
        with ending(tracked):
            tracked.run_id()  # waits for the store to be made, which the steps will read
            found, failed = _steps(study)
            tables = {"Runs": found.table()} if found.runs else {}
            if study.tables is not None:
                tables |= study.tables(found)
            output.mkdir(parents=True, exist_ok=True)
            result = StudyResult(study, tables, failed, output)
            (output / "results.md").write_text(result.markdown(), encoding="utf-8")
            with (output / "results.csv").open("w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows(next(iter(tables.values())))
            tracked.end("FINISHED")
        (output / "report.html").write_text(report(study.experiment), encoding="utf-8")
    return result


def _steps(study: Study) -> tuple[Found, tuple[str, ...]]:
    """Run the steps and read their runs back."""
    ids: list[str] = []
    tested: list[tuple[str, str]] = []
    failed: list[str] = []
    own = [f"experiment_name={study.experiment}"]
    for step in study.steps:
        log.info("%s %s", step.command, " ".join(step.overrides))
        if step.command == "run":
            summary = run_sweep([*step.overrides, *own, "resume=true"])
            ids += [job.run_id for job in summary.jobs if job.run_id is not None]
            failed += [f"{' '.join(j.overrides)}: {j.error}" for j in summary.jobs if j.error]
            continue
        if step.command == "replay":
            for overrides in sweep_values(step.overrides):
                try:
                    ids.append(replay_once(*overrides, *own))
                except RecexpError as error:
                    failed.append(f"{' '.join(overrides)}: {error}")
            continue
        for overrides in sweep_values(step.overrides):
            searched = tune(*overrides, *own)
            if searched.test is None or searched.run_id is None or searched.test.run_id is None:
                raise ConfigError("a study needs a record: leave out tracking=none")
            tested.append((searched.test.run_id, searched.run_id))
    reader = RunReader()
    tuned = tuple(_tuned(reader, run, parent) for run, parent in tested)
    runs = tuple(reader.named(ids)) if ids else ()
    return Found(study.metric, study.segments, runs, tuned, reader), tuple(failed)


def _tuned(reader: RunReader, run_id: str, parent_id: str) -> Tuned:
    run, parent = reader.named([run_id, parent_id])
    path = reader.artifact(parent, "tuning/report.json")
    if path is None:
        raise StorageError(f"run {parent.key} has no tuning/report.json; run the study again")
    told = json.loads(path.read_text(encoding="utf-8"))
    default = float("nan") if told["default"] is None else told["default"]["value"]
    trials = sum(told["trials"].values())
    return Tuned(told["algo"], default, told["best"]["value"], trials, told["seconds"], run)


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    header, *others = rows
    lines = [f"| {' | '.join(header)} |", "|---" * len(header) + "|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in others)])
