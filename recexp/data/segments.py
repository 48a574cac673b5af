"""What becomes of a piece of delimited text: codes and moments by row, and what is wrong."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from recexp.arrays import AnyArray, IdxArray, IntArray
from recexp.data.coded import DictCoder
from recexp.data.rows import Dialect
from recexp.data.span_coder import SpanCoder

SHOWN = 200
"""Characters of a bad row that are kept."""


@dataclass(frozen=True)
class Layout:
    """Which fields of a row are wanted: their positions by role, among `n_fields`."""

    dialect: Dialect
    positions: Mapping[str, int]
    n_fields: int
    has_header: bool


@dataclass
class Segment:
    """Rows that follow each other.

    Attributes:
        coder: whose codes these are; None without rows.
        codes: by role, without the timestamp.
        values, forms: the timestamp's, as in `Moments`, but with the codes of texts.
        gaps: (row, line), counted from 0, where a row is not on the line after the one before.
        n_lines: of which `blank` have nothing; `spanning` rows are on several.
        bad: (line, reason, text) of the rows that were left out.
    """

    coder: Coder | None = None
    n_rows: int = 0
    codes: dict[str, IdxArray] = field(default_factory=dict)
    values: IntArray | None = None
    forms: AnyArray | None = None
    gaps: list[tuple[int, int]] = field(default_factory=list)
    n_lines: int = 0
    blank: int = 0
    spanning: int = 0
    bad: list[tuple[int, str, str]] = field(default_factory=list)


class Coder(ABC):
    """Turns blocks into segments; for one thread at a time.

    Attributes:
        coders: what gives the codes, by role.
    """

    coders: Mapping[str, DictCoder | SpanCoder]

    def __init__(self, layout: Layout) -> None:
        self.layout = layout

    @abstractmethod
    def segments(self, data: bytes, last: bool) -> tuple[list[Segment], int]:
        """Return the whole rows at the beginning of `data`, and how many bytes they are.

        `last`: nothing follows that could belong to the last row.
        """

    @staticmethod
    @abstractmethod
    def merge(coders: Sequence[Any], role: str) -> tuple[list[Any], list[IdxArray | None]]:
        """Return the distinct texts that several coders met, and the places of each one's codes.

        Distinct texts and places are as in `Coded`.
        """


def shown(data: bytes, at: int, size: int) -> str:
    """Return the beginning of a row for people: without its line end."""
    return data[at : at + min(size, 4 * SHOWN)].decode("utf-8", "replace").rstrip("\r\n")[:SHOWN]
