"""An experiment as one self-contained HTML page."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from recexp.evaluation.pairs import SIGNIFICANCE_LEVEL, Pairs, is_better
from recexp.evaluation.significance import Comparison
from recexp.reporting.checklist import SOURCES, Item
from recexp.reporting.comparison import (
    RunComparison,
    caption,
    cost_columns,
    cost_text,
    difference_text,
    letter,
    letters,
    p_text,
    users_text,
    value_text,
)
from recexp.reporting.comparison_plots import svg


@dataclass(frozen=True)
class Figure:
    """A plot: its title, what it shows in words (for those who do not see it), the SVG."""

    title: str
    alt: str
    picture: str


@dataclass(frozen=True)
class Section:
    """The runs of one experiment on one split.

    Attributes:
        comparison: tested in the first metric, with segments.
        others: the other metrics, of the same runs in the same order.
        figures: in the order of the page.
        split: the audit of the split, as names and values.
        data: the profile of the data, as names and values; `data_figures` its plots.
    """

    comparison: RunComparison
    others: tuple[Pairs, ...]
    figures: tuple[Figure, ...]
    split: tuple[tuple[str, str], ...]
    data: tuple[tuple[str, str], ...]
    data_figures: tuple[Figure, ...]


@dataclass(frozen=True)
class Study:
    """A hyperparameter search: its name, numbers as names and values, and warnings."""

    name: str
    facts: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Report:
    """Everything that the page of an experiment shows.

    Attributes:
        question: what the experiment asks, empty if nobody wrote it down.
        facts: the headline: numbers of runs, data, when.
        runs: the rows of the table of runs: id, name, status, when, seconds, command.
        provenance: names and values; what several runs do not share has all its values.
        packages: names and versions.
        notes: what was left out, and why.
    """

    name: str
    question: str
    facts: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]
    studies: tuple[Study, ...]
    tuning: Figure | None
    runs: tuple[tuple[str, ...], ...]
    provenance: tuple[tuple[str, str], ...]
    packages: tuple[tuple[str, str], ...]
    checklist: tuple[Item, ...]
    notes: tuple[str, ...]
    sources: Mapping[str, str] = field(default_factory=lambda: SOURCES)


RUN_COLUMNS = ("run", "name", "status", "started (UTC)", "seconds", "configuration")
"""What `Report.runs` has in its columns."""


def figure(title: str, alt: str, drawn: Any) -> Figure:
    """Return a matplotlib Figure as a part of the page."""
    return Figure(title, alt, base64.b64encode(svg(drawn).encode()).decode())


def render(report: Report) -> str:
    """Return the page as HTML. Whatever runs are called, it is shown as text."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("recexp.reporting", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"letter": letter, "letters": letters, "cost": cost_text, "p": p_text}
    page = environment.get_template("report.html")
    return page.render(
        report=report,
        run_columns=RUN_COLUMNS,
        caption=caption,
        costs=cost_columns,
        value=value_text,
        difference=difference_text,
        users=users_text,
        matrix=matrix,
        marks=_most_letters,
        topics=_by_topic,
        level=SIGNIFICANCE_LEVEL,
    )


@dataclass(frozen=True)
class Cell:
    """A cell of the matrix: row against column."""

    kind: str
    sign: str
    one: Comparison


def matrix(table: Pairs) -> list[list[Cell | None]]:
    """Return every run (row) against every run (column); None on the diagonal."""
    n = len(table.estimates)
    return [[None if i == j else _cell(table, i, j) for j in range(n)] for i in range(n)]


def _cell(table: Pairs, i: int, j: int) -> Cell:
    one = table.between(i, j)
    if is_better(one):
        return Cell("better", "▲", one)
    if is_better(table.between(j, i)):
        return Cell("worse", "▼", one)
    return Cell("open", "·", one)


def _most_letters(table: Pairs) -> int:
    """How long the longest row of letters is, so that the values align beside them."""
    return max(len(letters(table.beaten_by(i))) for i in range(len(table.estimates)))


def _by_topic(items: Sequence[Item]) -> list[tuple[str, list[Item]]]:
    """The items of each topic, in their order."""
    topics = dict.fromkeys(item.topic for item in items)
    return [(topic, [item for item in items if item.topic == topic]) for topic in topics]


def spread(values: Sequence[Any], most: int = 6) -> str:
    """Return the distinct values of several runs as text, in their order.

    >>> spread(["3.11", "3.11", "3.12", None])
    '3.11; 3.12'
    """
    texts = list(dict.fromkeys(str(value) for value in values if value not in (None, "")))
    more = f"; and {len(texts) - most} more" if len(texts) > most else ""
    return "; ".join(texts[:most]) + more
