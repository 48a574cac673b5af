"""Delimited text into codes and moments, by compiled functions: for large files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from recexp.arrays import AnyArray, IdxArray, IntArray
from recexp.data.compiled import compiled
from recexp.data.rows import parse_row
from recexp.data.scan_spans import (
    AT,
    BLANK,
    CUT,
    DONE,
    FULL,
    GAPS,
    KNOWN,
    LINES,
    ODD,
    ROWS,
    SPANNING,
    SPANS,
    spans,
)
from recexp.data.scan_values import MOMENTS, moments
from recexp.data.segments import Coder, Layout, Segment, shown
from recexp.data.span_coder import SpanCoder, merge
from recexp.data.timestamps import TEXT, moment

SEGMENT = 1 << 18
"""Rows of a segment, at most."""
ROOM = 1 << 22
"""Rows for which memory is asked at once."""
OddRows = list[tuple[int, list[bytes]]]
"""Places and fields of rows that are not plain."""


class CompiledCoder(Coder):
    """Plain rows by `spans`, others by `parse_row`; codes by hash tables."""

    coders: dict[str, SpanCoder]

    def __init__(self, layout: Layout) -> None:
        super().__init__(layout)
        self.coders = {role: SpanCoder() for role in layout.positions}
        self._spans, self._moments = compiled(spans, SPANS), compiled(moments, MOMENTS)
        self._places = {role: place for place, role in enumerate(layout.positions)}
        self._roles = np.full(layout.n_fields, -1, np.int8)
        for role, place in self._places.items():
            self._roles[layout.positions[role]] = place
        shape = (len(self._places), SEGMENT)
        self._starts, self._ends, self._codes = (np.empty(shape, np.int32) for _ in range(3))
        self._values, self._forms = np.empty(SEGMENT, np.int64), np.empty(SEGMENT, np.uint8)
        self._rooms: dict[np.dtype[Any], AnyArray] = {}
        self._gaps = np.empty(2 * SEGMENT, np.int64)
        self._delimiter = np.frombuffer(layout.dialect.delimiter, np.uint8)
        self._quote = layout.dialect.quote[0] if layout.dialect.quote else -1

    def segments(self, data: bytes, last: bool) -> tuple[list[Segment], int]:
        segments, at, why = [], 0, FULL
        while why == FULL:
            why, at, segment = self._segment(data, at, last)
            segments.append(segment)
        return segments, at

    def _segment(self, data: bytes, at: int, last: bool) -> tuple[int, int, Segment]:
        """Why it ends, where, and the segment that begins at `at`."""
        buffer, segment, odd = np.frombuffer(data, np.uint8), Segment(self), OddRows()
        report = np.zeros(6, np.int64)
        report[AT], report[GAPS], self._gaps[:2] = at, 2, 0
        why = ODD
        while why == ODD:
            why = int(
                self._spans(
                    *(buffer, last, self._delimiter, self._quote, self.layout.n_fields),
                    *(self._roles, self._places.get("timestamp", -1), self._starts, self._ends),
                    *(self._codes, self._values, self._forms, self._gaps, report),
                )
            )
            if why == ODD:
                why = self._odd_row(data, last, report, segment, odd)
        gaps = self._gaps[2 : int(report[GAPS])].tolist()
        segment.gaps = list(zip(gaps[::2], gaps[1::2], strict=True))
        segment.n_rows, segment.n_lines = int(report[ROWS]), int(report[LINES])
        segment.blank, segment.spanning = int(report[BLANK]), int(report[SPANNING])
        self._fill(segment, buffer, odd)
        return why, int(report[AT]), segment

    def _odd_row(
        self, data: bytes, last: bool, report: IntArray, segment: Segment, odd: OddRows
    ) -> int:
        """Read one row by `parse_row`; return ODD to go on, or why not."""
        at, n, line, n_gaps = report[[AT, ROWS, LINES, GAPS]].tolist()
        row = parse_row(data, at, self.layout.dialect, self.layout.n_fields, last)
        if row is None:
            return CUT
        if row.problem is None:
            odd.append((n, row.fields))
            self._starts[:, n] = KNOWN
            if line != self._gaps[n_gaps - 1] + n - self._gaps[n_gaps - 2]:
                self._gaps[n_gaps : n_gaps + 2] = n, line
                report[GAPS] += 2
            report[ROWS] += 1
            report[SPANNING] += row.lines > 1
        else:
            segment.bad.append((line, row.problem, shown(data, at, row.size)))
        report[LINES] += row.lines
        report[AT] += row.size
        if report[AT] == len(data):
            return DONE
        return FULL if n + 1 >= SEGMENT or n_gaps + 6 > len(self._gaps) else ODD

    def _fill(self, segment: Segment, buffer: AnyArray, odd: OddRows) -> None:
        """Give the segment its codes and moments."""
        rows = np.array([row for row, _ in odd], np.int64)
        for role, place in self._places.items():
            starts = self._starts[place, : segment.n_rows]
            ends = self._ends[place, : segment.n_rows]
            texts = [fields[self.layout.positions[role]] for _, fields in odd]
            if role == "timestamp":
                self._times(segment, buffer, starts, ends, rows, texts)
                continue
            codes = self._kept(self._codes[place, : segment.n_rows])
            codes[rows] = self.coders[role].encode_texts(texts)
            self.coders[role].encode(buffer, starts, ends, codes)
            segment.codes[role] = codes

    def _times(
        self,
        segment: Segment,
        buffer: AnyArray,
        starts: AnyArray,
        ends: AnyArray,
        rows: AnyArray,
        texts: Sequence[bytes],
    ) -> None:
        values = self._kept(self._values[: segment.n_rows])
        forms = self._kept(self._forms[: segment.n_rows])
        self._moments(buffer, starts, ends, values, forms)
        coder = self.coders["timestamp"]
        unread = np.flatnonzero((forms == TEXT) & (starts != KNOWN))
        if len(unread):
            codes = np.empty(len(unread), np.int32)
            coder.encode(buffer, starts[unread], ends[unread], codes)
            values[unread] = codes
        for row, text in zip(rows.tolist(), texts, strict=True):
            forms[row], values[row] = moment(text)
            if forms[row] == TEXT:
                values[row] = coder.encode_texts([text])[0]
        segment.values, segment.forms = values, forms

    def _kept(self, column: AnyArray) -> AnyArray:
        """A copy in a large piece of memory, which can be given back whole."""
        room = self._rooms.get(column.dtype)
        if room is None or len(room) < len(column):
            room = np.empty(ROOM, column.dtype)
        kept, self._rooms[column.dtype] = room[: len(column)], room[len(column) :]
        kept[:] = column
        return kept

    @staticmethod
    def merge(
        coders: Sequence[CompiledCoder], role: str
    ) -> tuple[list[bytes], list[IdxArray | None]]:
        distinct, places = merge([coder.coders[role] for coder in coders])
        return distinct, [*places]
