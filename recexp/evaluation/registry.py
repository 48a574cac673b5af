"""What a metric is: a pure function with a name, a formula and a source."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any


class Kind(Enum):
    """What a metric is computed from, and what it returns."""

    RELEVANCE = "lists judged against the relevant items: one value a user"
    LIST = "each list by itself: one value a user"
    LISTS = "all lists together: one number"
    SCORES = "the scores of all candidates: one value a user, no cutoff"
    ERRORS = "sums of rating errors: no cutoff"


@dataclass(frozen=True, eq=False)
class Metric:
    """A metric; calling it calls its function.

    Attributes:
        name: the name without cutoff.
        formula: in one line.
        source: the paper or program whose definition this is.
        kind: what the function takes and returns.
        lower_is_better: for wins and losses, and for what a search minimizes.
    """

    name: str
    formula: str
    source: str
    kind: Kind
    lower_is_better: bool
    function: Callable[..., Any]

    @property
    def has_cutoff(self) -> bool:
        return self.kind in (Kind.RELEVANCE, Kind.LIST, Kind.LISTS)

    def __call__(self, *args: Any) -> Any:
        return self.function(*args)


def metric(
    formula: str, source: str, kind: Kind = Kind.RELEVANCE, *, lower_is_better: bool = False
) -> Callable[[Callable[..., Any]], Metric]:
    """Return the decorator that makes a function the metric of that name.

    A metric from outside the package may carry it too, or stay a plain function of a `Judged`.
    """

    def decorate(function: Callable[..., Any]) -> Metric:
        return Metric(function.__name__, formula, source, kind, lower_is_better, function)

    return decorate
