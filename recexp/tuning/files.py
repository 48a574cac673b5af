"""The files of a tuning report: what the study's run keeps in its folder `tuning`."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from recexp.reporting.tuning_plots import best_so_far, importance, save
from recexp.tuning.summary import Summary, trial_rows


def write_tuning(folder: Path, summary: Summary) -> None:
    """Write `trials.csv`, `report.json`, `report.txt` and the plots into a new folder."""
    folder.mkdir()
    with (folder / "trials.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(trial_rows(summary))
    document = json.dumps(summary.document(), indent=1)
    (folder / "report.json").write_text(f"{document}\n", encoding="utf-8")
    (folder / "report.txt").write_text(f"{summary}\n", encoding="utf-8")
    title = f"{summary.names['algo']}, {summary.names['dataset']}, {summary.names['split']} split"
    values = [one.value for one in summary.trials]
    pruned = [one.state == "PRUNED" for one in summary.trials]
    drawn = best_so_far(values, pruned, summary.best_so_far, title, summary.objective)
    save(drawn, folder / "best_so_far.png")
    if summary.importance:
        save(importance(summary.importance, title), folder / "importance.png")
