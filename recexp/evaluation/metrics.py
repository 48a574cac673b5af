"""All metrics, and their names: `ndcg@10` for people, `ndcg_at_10` for MLflow."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import import_module

from recexp.errors import ConfigError, did_you_mean
from recexp.evaluation import accuracy, auc, beyond, ratings
from recexp.evaluation.registry import Kind, Metric

METRICS: dict[str, Metric] = {
    found.name: found
    for module in (accuracy, auc, beyond, ratings)
    for found in vars(module).values()
    if isinstance(found, Metric)
}
"""Every metric by its name, in the order they are written."""


@dataclass(frozen=True)
class Measure:
    """A metric and the cutoff it is taken at; None where it has none, or none was given."""

    metric: Metric
    cutoff: int | None

    @property
    def name(self) -> str:
        """The name in config, command line and tables: `ndcg@10`."""
        at = "" if self.cutoff is None else f"@{self.cutoff}"
        return f"{self.metric.name}{at}"


def parse_metric(name: str) -> Measure:
    """Return the measure that `name` stands for: `ndcg@10`, `auc`, `my_pkg.my_metric@10`.

    A name with a dot is imported: the function `my_metric` of `my_pkg` takes a `Judged` and
    returns one number per user. Raises ConfigError for a name, cutoff or import that does not
    work.

    >>> parse_metric("ndcg@10").cutoff
    10
    """
    base, at, cutoff = name.partition("@")
    metric = METRICS.get(base) or (_imported(base) if "." in base else None)
    if metric is None:
        raise ConfigError(f"no metric '{base}'{did_you_mean(base, METRICS)}")
    if at and not metric.has_cutoff:
        raise ConfigError(f"metric '{name}': {base} has no cutoff; write '{base}'")
    if at and not (cutoff.isdecimal() and int(cutoff)):
        raise ConfigError(f"metric '{name}': expected a whole number from 1 after '@'")
    return Measure(metric, int(cutoff) if at else None)


def select(names: Iterable[str], cutoffs: Sequence[int]) -> tuple[Measure, ...]:
    """Return the measures that `names` stand for, each once; without `@`, at all `cutoffs`.

    >>> [measure.name for measure in select(["ndcg", "map@10", "auc"], [5, 20])]
    ['ndcg@5', 'ndcg@20', 'map@10', 'auc']
    """
    if any(cutoff < 1 for cutoff in cutoffs):
        raise ConfigError(f"cutoffs={list(cutoffs)}: expected whole numbers from 1")
    measures = {}
    for measure in map(parse_metric, names):
        every = measure.metric.has_cutoff and measure.cutoff is None
        for cutoff in cutoffs if every else [measure.cutoff]:
            found = Measure(measure.metric, cutoff)
            measures[found.name] = found
    return tuple(measures.values())


def list_length(measures: Iterable[Measure]) -> int:
    """Return how long the lists must be: the largest cutoff, 1 without any."""
    return max((measure.cutoff or 1 for measure in measures), default=1)


def describe_metrics() -> dict[str, str]:
    """Return the formula and source of every metric, in one line each, by name."""
    return {name: f"{metric.formula} [{metric.source}]" for name, metric in METRICS.items()}


def mlflow_name(name: str) -> str:
    """Return the name under which MLflow, which allows no `@`, and per-user columns have it.

    >>> mlflow_name("tail_items/precision@10")
    'tail_items/precision_at_10'
    """
    return name.replace("@", "_at_")


def metric_name(column: str) -> str:
    """Return the name behind `mlflow_name`.

    >>> metric_name("precision_at_10")
    'precision@10'
    """
    return re.sub(r"_at_(\d+)$", r"@\1", column)


def lower_is_better(name: str) -> bool:
    """Return whether less of the metric `name` (with or without cutoff) is better.

    False for a metric from outside, which need not be there when saved runs are compared.
    """
    metric = METRICS.get(name.partition("@")[0])
    return metric is not None and metric.lower_is_better


def _imported(path: str) -> Metric:
    """The metric at a dotted path: a `Metric`, or a plain function of a `Judged`."""
    module, _, attribute = path.rpartition(".")
    try:
        found = getattr(import_module(module), attribute)
    except ImportError as error:
        raise ConfigError(f"metric '{path}': cannot import {module} ({error})") from error
    except AttributeError:
        accepted = [name for name in vars(import_module(module)) if not name.startswith("_")]
        raise ConfigError(
            f"metric '{path}': {module} has no '{attribute}'{did_you_mean(attribute, accepted)}"
        ) from None
    if not callable(found):
        raise ConfigError(f"metric '{path}' is no function; expected one that takes a Judged")
    if isinstance(found, Metric):
        return Metric(
            path, found.formula, found.source, found.kind, found.lower_is_better, found.function
        )
    formula = (found.__doc__ or "no docstring").strip().splitlines()[0]
    return Metric(path, formula, module, Kind.RELEVANCE, False, found)
