"""What was guessed, repaired, rejected or left as it is when a dataset was read, as sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from recexp.data.dataset import Dataset


@dataclass(frozen=True)
class Finding:
    """One thing that a reader should know of a source.

    `level`: problem (experiments fail or mean little), guess (say so if it is wrong), repair
    (nothing was lost), reject (rows were left out), note (worth a thought). `count` are the rows,
    lines or ids concerned; 0 where that says nothing.
    """

    level: Literal["problem", "guess", "repair", "reject", "note"]
    what: str
    count: int = 0
    advice: str = ""

    def __str__(self) -> str:
        return f"{self.what}; {self.advice}" if self.advice else self.what


def findings(dataset: Dataset) -> list[Finding]:
    """Return everything the facts of a dataset tell of how it was read: guesses come first."""
    order = ("guess", "repair", "reject", "note")
    found = [*_guesses(dataset.facts), *_rows(dataset.facts), *_sides(dataset.facts)]
    return sorted(found, key=lambda finding: order.index(finding.level))


def _guesses(facts: Mapping[str, Any]) -> Iterator[Finding]:
    format = facts.get("format") or {}
    for key in format.get("guessed", ()):
        yield Finding("guess", f"{key} is {format[key]!r}", 0, f"if not, set dataset.{key}")
    names = facts.get("columns") or {}
    for role in facts.get("columns_guessed") or ():
        yield Finding(
            "guess",
            f"the {role} is column {names[role]!r}",
            0,
            f"if not, set dataset.columns.{role}",
        )
    if facts.get("scale_source") == "observed":
        yield Finding("guess", "the rating scale is what occurs", 0, "declare it: dataset.scale")
    written = facts.get("timestamp_format", "none")
    if written != "none":
        yield Finding("guess", f"timestamps are written in {written}")


def _rows(facts: Mapping[str, Any]) -> Iterator[Finding]:
    for what, count in (facts.get("repairs") or {}).items():
        yield Finding("repair", f"{count:,} {what}", count)
    forms = facts.get("timestamp_forms") or {}
    if len(forms) > 1:
        parts = ", ".join(f"{count:,} {form}" for form, count in forms.items())
        yield Finding("note", f"timestamps are of {len(forms)} forms: {parts}", sum(forms.values()))
    listed = facts.get("rejected_file")
    for reason, count in (facts.get("rows_dropped") or {}).items():
        share = count / max(facts.get("rows_read", 0), 1)
        what = f"{count:,} rows left out ({share:.2%}): {reason}"
        yield Finding("reject", what, count, f"listed in {listed}" if listed else "")
    repeated, exact = facts.get("repeated_pairs", 0), facts.get("exact_duplicates", 0)
    if repeated:
        yield Finding(
            "note",
            f"{repeated:,} rows repeat a pair of user and item ({exact:,} of them in all columns)",
            repeated,
            "preprocess.deduplicate keeps one",
        )


def _sides(facts: Mapping[str, Any]) -> Iterator[Finding]:
    for side, about in (facts.get("tables") or {}).items():
        for key, what in (
            ("ids_without_row", f"{side} have no row in their table"),
            ("unmatched_rows", f"rows of the table of {side} are of none that occurs"),
            ("repeated_ids", f"rows of the table of {side} repeat an id (the first counts)"),
        ):
            if about.get(key):
                yield Finding("note", f"{about[key]:,} {what}", about[key])
        for reason, count in (about.get("rows_dropped") or {}).items():
            yield Finding("reject", f"{count:,} rows of the table of {side}: {reason}", count)
