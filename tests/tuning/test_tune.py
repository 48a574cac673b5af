"""Tuning as a whole: what it sees, what it records, and that nothing stops it for good."""

from __future__ import annotations

import csv
import json
import os
import signal
import sqlite3
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import recexp
from recexp.config import compose
from recexp.data.dataset import Dataset
from recexp.errors import ConfigError, StorageError
from recexp.experiment import run_plan, training_part
from recexp.lifecycle import alone
from recexp.plan import plan
from recexp.splits.base import Split
from recexp.splits.random import random
from recexp.tuning.tune import tune

SMALL = ["dataset=synthetic", "dataset.n_users=80", "dataset.n_items=60"]
SMALL += ["dataset.n_interactions=1200", "plots=false"]

OWN = '''
import os, signal, time
from dataclasses import dataclass
import numpy as np

@dataclass(eq=False)
class Own:
    """Scores by chance, except that some strengths fail."""

    strength: float = 0.5
    nap: float = 0.0

    def fit(self, train):
        time.sleep(self.nap)
        if 0.2 < self.strength < 0.3:
            raise MemoryError("too much")
        if self.strength < 0.2:
            os.kill(os.getpid(), signal.SIGKILL)
        counts = train.interactions.item_counts().astype(np.float32)
        noise = np.random.default_rng(1).normal(size=len(counts)).astype(np.float32)
        self.scores_ = self.strength * counts + (1 - self.strength) * 20 * noise
        return self

    def score(self, users):
        return np.tile(self.scores_, (len(users), 1))
'''


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    return tmp_path


@pytest.fixture
def own(store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's own tree of options with an algorithm and its search space."""
    (store / "own_algo.py").write_text(OWN)
    for group, text in (
        ("algo", "# mine\n_target_: own_algo.Own\nstrength: 0.5\nnap: 0.0\n"),
        ("search", "# mine\nstrength: {type: float, low: 0, high: 1}\n"),
    ):
        (store / "tree" / group).mkdir(parents=True)
        (store / "tree" / group / "own.yaml").write_text(text)
    monkeypatch.syspath_prepend(str(store))
    return store / "tree"


def rows(folder: Path, query: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(folder / "mlflow.db") as connection:
        return connection.execute(query).fetchall()


@dataclass(frozen=True, eq=False)
class Sealed(Split):
    """A split whose test side cannot be looked at."""

    def __getattribute__(self, name: str) -> Any:
        if name == "test":
            raise AssertionError("the test data was touched")
        return super().__getattribute__(name)


def sealed(dataset: Dataset, rng: np.random.Generator) -> Split:
    found = random(dataset, rng)
    return Sealed(found.train, found.test, found.history, found.facts)


@pytest.mark.parametrize("users", ["all", "warm"])
def test_trials_never_touch_the_test_data(users: str) -> None:
    made = plan(compose([*SMALL, "split=random", "validation=same", f"users={users}", "algo=ease"]))
    poisoned = replace(made, split=sealed, validate=random)
    part = training_part(poisoned)
    outer = random(part.train, np.random.default_rng(0))
    assert len(part.train.interactions) + len(part.test) <= 0.8 * 1200 + 1
    assert len(outer.test)
    with pytest.raises(AssertionError, match="touched"):
        run_plan(replace(poisoned, tracker=_nowhere()))


def _nowhere() -> Any:
    from recexp.tracking.base import NoTracker

    return NoTracker()


def test_a_search_is_recorded_and_its_best_is_tested_once(store: Path) -> None:
    summary = tune("algo=ease", *SMALL, "trials=4", "search.regularization.high=2000")
    plain = recexp.run("algo=ease", *SMALL, "validation=same")
    assert summary.default is not None
    assert summary.default.value == plain.metrics["val/ndcg_at_10"]
    assert [one.state for one in summary.trials] == ["COMPLETE"] * 4
    assert summary.best.value == max(one.value for one in summary.trials)
    assert summary.test is not None
    again = recexp.run(*summary.test.overrides, "validation=same")
    assert again.metrics["val/ndcg_at_10"] == summary.best.value
    assert again.metrics["ndcg_at_10"] == summary.test.metrics["ndcg_at_10"]

    children = rows(
        store,
        "select name, status from runs join tags using (run_uuid) "
        f"where key='mlflow.parentRunId' and value='{summary.run_id}'",
    )
    trials = [(f"trial {i}", "FINISHED") for i in range(4)]
    assert sorted(children) == [("ease-synthetic-temporal", "FINISHED"), *trials]
    parent = dict(rows(store, f"select key, value from metrics where run_uuid='{summary.run_id}'"))
    assert parent["val/ndcg_at_10"] == summary.best.value
    assert parent["ndcg_at_10"] == summary.test.metrics["ndcg_at_10"]
    folder = store / "mlruns" / "recexp" / str(summary.run_id) / "artifacts" / "tuning"
    names = {"trials.csv", "report.json", "report.txt", "best_so_far.png", "importance.png"}
    assert {path.name for path in folder.iterdir()} == names
    with (folder / "trials.csv").open() as file:
        table = list(csv.DictReader(file))
    assert list(table[0]) == ["trial", "state", "value", "seconds", "regularization"]
    assert [float(row["value"]) for row in table] == [one.value for one in summary.trials]
    told = json.loads((folder / "report.json").read_text())
    assert told["default"]["values"] == {"regularization": 300.0}
    assert told["best_so_far"] == sorted(told["best_so_far"])

    # The same again finds everything done; more trials go on from there.
    same = tune("algo=ease", *SMALL, "trials=4", "search.regularization.high=2000")
    assert (same.run_id, same.trials) == (summary.run_id, summary.trials)
    assert same.test is not None
    assert same.test.run_id == summary.test.run_id
    with pytest.raises(ConfigError, match=r"exists with 4 trials; leave out resume=false"):
        tune(*SMALL, "algo=ease", "trials=4", "search.regularization.high=2000", "resume=false")


def test_failed_trials_are_recorded_and_do_not_end_the_study(own: Path, store: Path) -> None:
    summary = tune("algo=own", *SMALL, "trials=12", config_dir=own)
    by_state: dict[str, list[float]] = {"COMPLETE": [], "FAIL": []}
    for one in summary.trials:
        by_state[one.state].append(float(one.values["strength"] or 0))
        if one.state == "FAIL":
            memory = one.values["strength"] > 0.2  # type: ignore[operator]
            assert one.error is not None
            assert ("MemoryError: too much" if memory else "killed by SIGKILL") in one.error
    assert all(value >= 0.3 for value in by_state["COMPLETE"])
    assert by_state["FAIL"]
    assert all(value <= 0.3 for value in by_state["FAIL"])
    failed = rows(store, "select count(*) from runs where name like 'trial%' and status='FAILED'")
    assert failed == [(len(by_state["FAIL"]),)]
    assert any("trials failed" in text for text in summary.warnings)


def test_a_killed_search_goes_on_without_losing_a_trial(own: Path, store: Path) -> None:
    arguments = ["algo=own", "algo.nap=0.3", *SMALL, "trials=5"]
    arguments += ["search.strength.low=0.4", "n_jobs=2"]
    command = [sys.executable, "-m", "recexp", "tune", "--config-dir", str(own), *arguments]
    paths = [str(Path(recexp.__file__).parent.parent), str(store)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    for wanted in (1, 3):
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
        assert process.stderr is not None
        seen = 0
        while seen < wanted:
            line = process.stderr.readline()
            assert line, "the search ended before it was killed"
            seen += line.startswith("trial")
            if "goes on after" in line:
                seen += int(line.split("after ")[1].split()[0])
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    done = subprocess.run(
        [*command, "--format", "json", "-q"], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert done.returncode == 0
    told = json.loads(done.stdout)
    assert told["trials"] == {"COMPLETE": 5, "PRUNED": 0, "FAIL": 0}
    finished = "select value from runs join metrics using (run_uuid) "
    finished += "where name like 'trial%' and status='FINISHED' and key='val/ndcg_at_10'"
    assert len(rows(store, finished)) == 5
    assert rows(store, "select count(*) from runs where status='RUNNING'") == [(0,)]
    parents = "select count(*) from tags where key='recexp.kind' and value='tuning'"
    assert rows(store, parents) == [(1,)]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["algo=random"], "nothing to tune"),
        (["algo=ease", "split=predefined", "split.path=x"], "add split@validation=random"),
        (["algo=ease", "objective=ndcg"], "tune needs one number, such as ndcg@10"),
        (["algo=als", "early_stopping.patience=2"], "leave out early_stopping"),
        (["algo=ease", "search=eas"], "no search space 'eas'; did you mean 'ease'?"),
        (["algo=ease", "split.test_fraction=7"], "split.test_fraction=7"),
    ],
)
def test_a_mistake_is_told_before_anything_is_made(
    store: Path, overrides: list[str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as e:
        tune(*SMALL, *overrides, "trials=3")
    assert "\n" not in str(e.value)
    assert list(store.iterdir()) == []


def test_one_process_at_a_time_searches_a_study(store: Path) -> None:
    with (
        alone(f"tune {store / 'tuning.db'} mine"),
        pytest.raises(StorageError, match="another process is at this very work"),
    ):
        tune("algo=ease", *SMALL, "trials=1", "study=mine")


def test_a_store_that_cannot_be_reached_is_one_line(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(StorageError, match="no MLflow server answers"):
        tune("algo=ease", *SMALL, "trials=1")
