"""What a search says of its result."""

from __future__ import annotations

from recexp.tuning.history import Trial
from recexp.tuning.space import Choices, Range, Space
from recexp.tuning.summary import Summary

SPACE = Space(
    {"_target_": "x", "size": 4, "days": None, "kind": "a"},
    {
        "size": Range("int", 1, 64, log=True),
        "days": Choices((None, 7, 30, 90)),
        "kind": Choices(("a", "b")),
    },
)


def summary(*trials: Trial) -> Summary:
    names = {"algo": "x", "dataset": "d", "split": "s"}
    best = max((one for one in trials if one.state == "COMPLETE"), key=lambda one: one.value)
    return Summary("s", names, "ndcg@10", False, SPACE, trials, best, {})


def trial(number: int, value: float, size: int, days: int | None) -> Trial:
    return Trial(number, "COMPLETE", value, 1.0, {"size": size, "days": days, "kind": "a"})


def test_a_best_value_at_an_edge_is_warned_of() -> None:
    found = summary(trial(0, 0.1, 4, None), trial(1, 0.3, 64, 7)).warnings
    assert found == [
        "the best size=64 lies at the high edge of its space: widen search.size.high",
        "the best days=7 lies at the low edge of its space: widen search.days.choices",
    ]


def test_a_best_value_inside_is_not() -> None:
    assert summary(trial(0, 0.4, 4, None), trial(1, 0.3, 64, 7)).warnings == []


def test_failed_trials_are_told() -> None:
    failed = Trial(1, "FAIL", float("nan"), 0.1, {}, "too large")
    found = summary(trial(0, 0.1, 4, 30), failed).warnings
    assert found == ["1 trials failed; trial 1: too large"]
