"""What a search found: the best, how it came to that, and what to make of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from recexp.errors import ConfigError
from recexp.evaluation.metrics import mlflow_name
from recexp.reporting.tables import align
from recexp.tuning.history import History, Trial, importances
from recexp.tuning.space import Range, Space


@dataclass(frozen=True)
class TestRun:
    """The run of the best configuration on the test data, and the overrides that repeat it."""

    __test__ = False  # no test of pytest's

    run_id: str | None
    metrics: Mapping[str, float]
    overrides: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Summary:
    """A search and its result.

    Attributes:
        study: its name; `names` the chosen algorithm, dataset and split.
        objective: what was optimized on validation; `lower_is_better` its direction.
        space: what was searched.
        trials: those that ended, in order; the first is the default configuration.
        best: the complete trial with the best value (of equal ones the first).
        importance: the share of the variance of the objective by hyperparameter.
        test: the test run with the best.
        run_id: of the study's parent run.
    """

    study: str
    names: Mapping[str, str]
    objective: str
    lower_is_better: bool
    space: Space
    trials: tuple[Trial, ...]
    best: Trial
    importance: Mapping[str, float]
    test: TestRun | None = None
    run_id: str | None = None

    @property
    def default(self) -> Trial | None:
        """The trial of the default configuration, if it did not fail."""
        wanted = self.space.defaults
        found = (one for one in self.trials if one.values == wanted and one.state == "COMPLETE")
        return next(found, None)

    @property
    def seconds(self) -> float:
        """Seconds of fitting and measuring in all trials together."""
        return math.fsum(one.seconds for one in self.trials if not math.isnan(one.seconds))

    @property
    def best_so_far(self) -> list[float]:
        """The best value of a complete trial after each trial; NaN before the first."""
        best, found = math.nan, []
        choose = min if self.lower_is_better else max
        for one in self.trials:
            if one.state == "COMPLETE":
                best = one.value if math.isnan(best) else choose(best, one.value)
            found.append(best)
        return found

    @property
    def warnings(self) -> list[str]:
        """What should make one look again."""
        found = []
        for name, dimension in self.space.dimensions.items():
            end = dimension.edge(self.best.values[name])
            if end is not None:
                key = end if isinstance(dimension, Range) else "choices"
                found.append(
                    f"the best {name}={_text(self.best.values[name])} lies at the {end} edge of "
                    f"its space: widen search.{name}.{key}"
                )
        failed = [one for one in self.trials if one.state == "FAIL"]
        if failed:
            found.append(
                f"{len(failed)} trials failed; trial {failed[0].number}: {failed[0].error}"
            )
        return found

    def tested(self, test: TestRun) -> Summary:
        """Return the summary with the test run."""
        return replace(self, test=test)

    def recorded(self, run_id: str | None) -> Summary:
        """Return the summary with the id of its run."""
        return replace(self, run_id=run_id)

    def document(self) -> dict[str, Any]:
        """Return the summary as plain JSON values."""
        states = [one.state for one in self.trials]
        return {
            "study": self.study,
            **self.names,
            "objective": self.objective,
            "lower_is_better": self.lower_is_better,
            "space": self.space.document(),
            "trials": {state: states.count(state) for state in ("COMPLETE", "PRUNED", "FAIL")},
            "seconds": self.seconds,
            "default": None if self.default is None else _trial(self.default),
            "best": _trial(self.best),
            "best_so_far": [None if math.isnan(one) else one for one in self.best_so_far],
            "importance": dict(self.importance),
            "warnings": self.warnings,
            "test_run_id": None if self.test is None else self.test.run_id,
            "metrics": {} if self.test is None else dict(self.test.metrics),
            "overrides": [] if self.test is None else list(self.test.overrides),
            "run_id": self.run_id,
        }

    def __str__(self) -> str:
        counts = self.document()["trials"]
        spent = f"{len(self.trials)} trials in {self.seconds:.1f} s"
        details = [f"{counts['PRUNED']} stopped early"] if counts["PRUNED"] else []
        details += [f"{counts['FAIL']} failed"] if counts["FAIL"] else []
        spent += f" ({', '.join(details)})" if details else ""
        names = self.names
        parts = [
            f"tuned {names['algo']} on {names['dataset']}, {names['split']} split: {spent}",
            align(self._values()),
            align(self._test()) if self.test else "",
            "\n".join(f"warning  {text}" for text in self.warnings),
        ]
        if self.test is not None:
            parts.append(
                f"study    {self.study}\nparent   {self.run_id}\ntest run {self.test.run_id}\n"
                f"again    recexp run {' '.join(self.test.overrides)}"
            )
        return "\n\n".join(part for part in parts if part)

    def _values(self) -> list[list[str]]:
        """Default against best, on validation and by hyperparameter."""
        default = self.default
        rows = [["", "default", f"best (trial {self.best.number})", "importance", "searched"]]
        value = "failed" if default is None else f"{default.value:.4f}"
        rows.append([f"{self.objective} on validation", value, f"{self.best.value:.4f}", "", ""])
        for name, dimension in self.space.dimensions.items():
            share = f"{self.importance[name]:.2f}" if name in self.importance else "-"
            searched = (
                f"{_text(dimension.low)} to {_text(dimension.high)}{', log' * dimension.log}"
                if isinstance(dimension, Range)
                else " | ".join(map(_text, dimension.choices))
            )
            rows.append(
                [
                    name,
                    _text(self.space.defaults[name]),
                    _text(self.best.values[name]),
                    share,
                    searched,
                ]
            )
        return rows

    def _test(self) -> list[list[str]]:
        """The figures of the test run."""
        assert self.test is not None
        metrics = self.test.metrics
        cutoff = self.objective.partition("@")[2] or "10"
        wanted = [self.objective, *(f"{name}@{cutoff}" for name in ("ndcg", "recall")), "rmse"]
        rows = [["on the test data", "best", "95 % interval"]]
        for name in dict.fromkeys(wanted):
            key = mlflow_name(name)
            if key in metrics:
                low, high = (metrics.get(f"{key}_ci_{end}", math.nan) for end in ("low", "high"))
                rows.append([name, f"{metrics[key]:.4f}", f"[{low:.4f}, {high:.4f}]"])
        return rows


def summarize(history: History, names: Mapping[str, str], objective: str, seed: int) -> Summary:
    """Return the summary of a study's trials.

    Raises ConfigError when none of them is complete.
    """
    trials = history.trials()
    complete = [one for one in trials if one.state == "COMPLETE"]
    if not complete:
        why = f": {trials[0].error}" if trials else ""
        raise ConfigError(f"no trial of {len(trials)} was completed{why}; nothing can be tested")
    choose = min if history.lower_is_better else max
    return Summary(
        study=history.name,
        names=names,
        objective=objective,
        lower_is_better=history.lower_is_better,
        space=history.space,
        trials=tuple(trials),
        best=choose(complete, key=lambda one: one.value),
        importance=importances(trials, history.space, seed),
    )


def _trial(one: Trial) -> dict[str, Any]:
    return {"trial": one.number, "value": one.value, "values": dict(one.values)}


def _text(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def trial_rows(summary: Summary) -> Sequence[Sequence[object]]:
    """Return the table of trials: trial, state, value, seconds, then the hyperparameters."""
    names = list(summary.space.dimensions)
    rows: list[Sequence[object]] = [["trial", "state", "value", "seconds", *names]]
    for one in summary.trials:
        value = "" if math.isnan(one.value) else repr(one.value)
        values = ["null" if one.values.get(n) is None else one.values[n] for n in names]
        rows.append([one.number, one.state, value, f"{one.seconds:.3f}", *values])
    return rows
