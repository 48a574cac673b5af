"""The trials of a study: kept at once, done again when lost, stopped early by the median."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from recexp.errors import ConfigError, StorageError
from recexp.tuning.history import History, importances
from recexp.tuning.search import Budget
from recexp.tuning.space import Choices, Range, Space

SPACE = Space(
    {"_target_": "x", "size": 4, "kind": "a"},
    {"size": Range("int", 1, 64, log=True), "kind": Choices(("a", "b"))},
)


def history(folder: Path, name: str = "s", **changes: Any) -> History:
    options = {"lower_is_better": False, "seed": 1, "prune": True, "parallel": False} | changes
    return History(folder / "tuning.db", name, SPACE, {"configuration": "c"}, **options)


def walk(study: History, n: int) -> list[tuple[Any, ...]]:
    """Do n trials whose value is a plain function of their values."""
    for _ in range(n):
        asked = study.ask()
        study.tell(asked, "COMPLETE", -abs(float(asked.values["size"] or 0) - 20))
    return [(one.values["size"], one.values["kind"], one.value) for one in study.trials()]


def test_the_first_trial_is_the_default(tmp_path: Path) -> None:
    assert walk(history(tmp_path), 1) == [(4, "a", -16.0)]


def test_a_study_that_was_stopped_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    whole = walk(history(tmp_path, "whole"), 14)
    for _ in range(4):
        walk(history(tmp_path), 3)
    assert walk(history(tmp_path), 2) == whole
    assert len({size for size, _, _ in whole}) > 4


def test_a_trial_under_way_when_the_process_died_is_done_again(tmp_path: Path) -> None:
    whole = walk(history(tmp_path, "whole"), 6)
    for done in range(6):
        study = history(tmp_path)
        lost = study.ask()  # and nobody tells what came of it
        assert len(study.trials()) == done
        again = history(tmp_path)
        repeated = again.ask()
        assert repeated.values == lost.values
        again.tell(repeated, "COMPLETE", -abs(float(repeated.values["size"] or 0) - 20))
    found = history(tmp_path).trials()
    assert [(one.values["size"], one.values["kind"], one.value) for one in found] == whole


def test_a_trial_below_the_median_of_five_is_stopped_and_the_default_never(tmp_path: Path) -> None:
    study = history(tmp_path)
    first = study.ask()
    assert not first.report(1, -1.0)
    study.tell(first, "COMPLETE", -1.0)
    for value in (0.1, 0.2, 0.3, 0.4):
        asked = study.ask()
        assert not asked.report(1, 0.0)
        assert not asked.report(2, value)  # fewer than five have ended
        study.tell(asked, "COMPLETE", value)
    good = study.ask()
    assert not good.report(1, 0.0)
    assert not good.report(2, 0.26)  # the median of .1 .2 .3 .4 is .25
    study.tell(good, "COMPLETE", 0.26)
    poor = study.ask()
    assert not poor.report(1, -9.0)  # the first epoch tells nothing
    assert poor.report(2, 0.2)
    study.tell(poor, "PRUNED", poor.last)
    assert [(one.state, one.value) for one in study.trials()][-1] == ("PRUNED", 0.2)


def test_without_pruning_nothing_is_stopped(tmp_path: Path) -> None:
    study = history(tmp_path, prune=False)
    for value in (0.1, 0.2, 0.3, 0.4, 0.5, 0.0):
        asked = study.ask()
        assert not asked.report(2, value)
        study.tell(asked, "COMPLETE", value)


def test_a_failed_trial_is_kept_with_its_reason(tmp_path: Path) -> None:
    study = history(tmp_path)
    study.tell(study.ask(), "FAIL", math.nan, "MemoryError: no")
    only = history(tmp_path).trials()[0]
    assert (only.state, only.error) == ("FAIL", "MemoryError: no")
    assert math.isnan(only.value)


def test_another_search_under_the_same_name_is_refused(tmp_path: Path) -> None:
    walk(history(tmp_path), 1)
    other = Space(SPACE.algo, {"size": Range("int", 1, 65, log=True)})
    with pytest.raises(ConfigError, match=r"study=s exists with another space.*study=NAME"):
        History(
            tmp_path / "tuning.db",
            "s",
            other,
            {"configuration": "c"},
            lower_is_better=False,
            seed=1,
            prune=True,
            parallel=False,
        )


def test_a_file_that_is_no_database_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "tuning.db").write_text("this is no database, " * 100)
    with pytest.raises(StorageError, match="cannot be kept in") as e:
        history(tmp_path)
    assert "\n" not in str(e.value)


def test_a_budget_of_trials_counts_those_under_way(tmp_path: Path) -> None:
    study = history(tmp_path)
    walk(study, 2)
    ended, asked = study.trials(), study.ask()
    assert Budget(3, None).left(ended, [])
    assert not Budget(3, None).left(ended, [asked])


def test_a_budget_of_seconds_is_what_trials_took(tmp_path: Path) -> None:
    study = history(tmp_path)
    walk(study, 2)
    spent = sum(one.seconds for one in study.trials())
    assert Budget(None, spent + 1).left(study.trials(), [])
    assert not Budget(None, spent).left(study.trials(), [])


def test_the_hyperparameter_that_decides_is_the_important_one(tmp_path: Path) -> None:
    study = history(tmp_path)
    walk(study, 20)
    found = importances(study.trials(), SPACE, seed=1)
    assert found["size"] > 0.9 > found["kind"]
    assert sum(found.values()) == pytest.approx(1)
    assert importances(study.trials()[:3], SPACE, seed=1) == {}
