"""Delimited text into codes and moments, in Python: for small files, as it starts at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from recexp.arrays import AnyArray, IdxArray, IntArray
from recexp.data.coded import DictCoder
from recexp.data.rows import LINE_END, parse_row
from recexp.data.segments import Coder, Layout, Segment, shown
from recexp.data.timestamps import TEXT, moment


class PlainCoder(Coder):
    """Rows by `parse_row`, codes by dicts."""

    coders: dict[str, DictCoder]

    def __init__(self, layout: Layout) -> None:
        super().__init__(layout)
        self.coders = {role: DictCoder() for role in layout.positions}
        self._moments: dict[bytes, tuple[int, int]] = {}

    def segments(self, data: bytes, last: bool) -> tuple[list[Segment], int]:
        layout = self.layout
        lists: dict[str, list[bytes]] = {role: [] for role in layout.positions}
        adders = [(lists[role].append, place) for role, place in layout.positions.items()]
        segment = Segment(self)
        at, size, expected = 0, len(data), 0
        while at < size:
            if data[at] in b"\r\n":
                end = LINE_END.match(data, at)
                assert end is not None
                if end.end() == size and data[at] == 13 and not last:
                    break
                at = end.end()
                segment.blank += 1
                segment.n_lines += 1
                continue
            row = parse_row(data, at, layout.dialect, layout.n_fields, last)
            if row is None:
                break
            if row.problem is None:
                for add, place in adders:
                    add(row.fields[place])
                if segment.n_lines != expected:
                    segment.gaps.append((segment.n_rows, segment.n_lines))
                segment.n_rows += 1
                segment.spanning += row.lines > 1
                expected = segment.n_lines + 1
            else:
                segment.bad.append((segment.n_lines, row.problem, shown(data, at, row.size)))
            segment.n_lines += row.lines
            at += row.size
        times = lists.pop("timestamp", None)
        segment.codes = {role: self.coders[role].encode(texts) for role, texts in lists.items()}
        if times is not None:
            segment.values, segment.forms = self._times(times)
        return [segment], at

    def _times(self, texts: Sequence[bytes]) -> tuple[IntArray, AnyArray]:
        known, coder = self._moments, self.coders["timestamp"]
        for text in set(texts) - known.keys():
            form, value = moment(text)
            if form == TEXT:
                value = int(coder.encode([text])[0])
            known[text] = form, value
        pairs = np.array([known[text] for text in texts], np.int64).reshape(-1, 2)
        return pairs[:, 1].copy(), pairs[:, 0].astype(np.uint8)

    @staticmethod
    def merge(coders: Sequence[PlainCoder], role: str) -> tuple[list[bytes], list[IdxArray | None]]:
        (only,) = coders
        return only.coders[role].distinct(), [None]
