"""Studies: what a folder says, what comes out of it, and that the real ones hold together."""

from __future__ import annotations

import csv
import importlib.util
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import kendalltau

import recexp
from recexp.errors import ConfigError
from recexp.study.definition import read_study
from recexp.study.study import run_study

EXPERIMENTS = Path(recexp.__file__).parent.parent / "experiments"
STUDIES = sorted(path.parent.name for path in EXPERIMENTS.glob("*/study.yaml"))

SMALL = "dataset=synthetic dataset.n_users=80 dataset.n_items=60 dataset.n_interactions=1200"
MINE = f"""
question: >
  Which is better?
metric: recall@10
steps:
  - run: algo=popularity,random split=random,temporal {SMALL} plots=false
  - tune: algo=ease split=random {SMALL} plots=false trials=2
short:
  steps:
    - run: algo=popularity,random {SMALL} plots=false
"""
ANALYSIS = """
def tables(found):
    mean = found.matrix(found.runs[:1]).mean()
    return {"Own": [["first", "tuned"], [f"{mean:.6f}", found.tuned[0].algo]]}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "study.yaml").write_text(MINE)
    return mine


def runs(folder: Path) -> int:
    with sqlite3.connect(folder / "mlflow.db") as connection:
        query = "select count(*) from runs where name not like 'study%'"
        count: int = connection.execute(query).fetchone()[0]
    return count


def test_a_study_writes_its_tables_and_report_and_does_nothing_twice(
    folder: Path, tmp_path: Path
) -> None:
    (folder / "analysis.py").write_text(ANALYSIS)
    result = run_study(read_study(folder), folder)
    assert {path.name for path in folder.iterdir()} >= {"results.md", "results.csv", "report.html"}
    with (folder / "results.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [(row["split"], row["algo"]) for row in table] == [
        *(("random", "popularity"), ("temporal", "popularity")),
        *(("random", "random"), ("temporal", "random")),
    ]
    # The general table and the analysis read different records of the same run.
    shown = table[0]["recall@10"].split()[0]
    assert result.tables["Own"][1][1] == "ease"
    assert f"{float(result.tables['Own'][1][0]):.3f}" == shown
    assert "Which is better?" in (folder / "report.html").read_text()
    before, written = runs(tmp_path), (folder / "results.md").read_text()
    run_study(read_study(folder), folder)
    assert runs(tmp_path) == before
    assert (folder / "results.md").read_text() == written


def test_the_short_form_has_an_experiment_of_its_own(folder: Path) -> None:
    short = read_study(folder, short=True)
    assert (short.experiment, len(short.steps)) == ("mine_short", 1)
    assert short.question == "Which is better?"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("steps: []\nquestion: x", "'steps' is missing"),
        ("steps: [{run: algo=svd}]", "'question' is missing"),
        ("question: x\nsteps: [{walk: algo=svd}]", "expected 'run: OVERRIDES' or 'tune: "),
        ("question: x\nstep: []", "no key 'step'; did you mean 'steps'?"),
        ("question: x\nsteps: [{run: experiment_name=y}]", "the study sets that itself"),
        ("question: [", "is no YAML"),
    ],
)
def test_a_mistake_in_a_study_is_one_line(folder: Path, text: str, message: str) -> None:
    (folder / "study.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message) as e:
        read_study(folder)
    assert "\n" not in str(e.value)


def test_a_folder_that_is_no_study_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'which_split'"):
        read_study(EXPERIMENTS / "wich_split")


@pytest.mark.parametrize("name", STUDIES)
def test_a_real_study_has_its_question_findings_and_a_short_form(name: str) -> None:
    folder = EXPERIMENTS / name
    for study in (read_study(folder), read_study(folder, short=True)):
        assert study.steps
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert f"recexp study experiments/{name}" in text
    assert "**What it shows**" in text
    results = (folder / "results.md").read_text(encoding="utf-8")
    tables = [line for line in results.splitlines() if line.startswith("|")]
    assert len(tables) > 4
    for line in text.splitlines():  # what the README shows is what was written
        if line.startswith("|"):
            assert line in tables, line


def test_there_are_the_five_studies() -> None:
    names = ["cold_start", "seed_noise", "streaming", "tuning_or_choosing", "which_split"]
    assert names == STUDIES


def test_the_rank_correlation_is_scipys() -> None:
    path = EXPERIMENTS / "which_split" / "analysis.py"
    spec = importlib.util.spec_from_file_location("which_split_analysis", path)
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(12, 5)), rng.normal(size=(12, 5))
    expected = [kendalltau(a[:, i], b[:, i]).statistic for i in range(5)]
    np.testing.assert_allclose(module.kendall(a, b), expected)
