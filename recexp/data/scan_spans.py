"""Compiled: delimited text into the spans of its fields, and into numbers where those are plain.

Does what `rows.parse_row` does, and only where that is plain: a row with anything unusual is left
to it. `tests/data/test_scan.py` holds both side by side.
"""

from __future__ import annotations

import numpy as np

from recexp.data.rows import MAX_ROW
from recexp.data.timestamps import WHOLE

DONE, ODD, CUT, FULL = range(4)
"""Why `spans` stops: no byte is left; a row is unusual, or not all there; no room for more."""
AT, ROWS, LINES, BLANK, SPANNING, GAPS = range(6)
"""Places in `report`: the first byte not read, rows, lines, blank lines, rows over several lines,
entries of `gaps`."""
KNOWN = -1
"""The start of a span whose code or moment is written already."""
DIGITS = 6
"""The longest whole number that is its own code."""
SPANS = (
    "int64(Array(uint8, 1, 'C', readonly=True), boolean, "
    "Array(uint8, 1, 'C', readonly=True), int64, int64, int8[::1], int64, "
    "int32[:, ::1], int32[:, ::1], int32[:, ::1], int64[::1], uint8[::1], int64[::1], int64[::1])"
)


def spans(  # type: ignore[no-untyped-def]  # numba infers types
    buffer,
    last,
    delimiter,
    quote,
    n_fields,
    roles,
    timed,
    starts,
    ends,
    codes,
    values,
    forms,
    gaps,
    report,
):
    """Write what the wanted fields of plain rows are or where they stand; return why it stopped.

    A row begins at `report[AT]`; `last` says that nothing follows `buffer`. `quote` is a byte, or
    -1. `roles[f]` is the row of `starts`, `ends` and `codes` (roles, rows) for field f, or -1;
    that of timestamps is `timed`, whose whole numbers go to `values` and `forms`. A field whose
    code or moment is written starts at KNOWN. `gaps` takes (row, line) wherever a row is not on
    the line after the one before it.
    """
    first, width = delimiter[0], len(delimiter)
    numeric = not 48 <= first <= 57
    at, row, line, n_gaps = report[AT], report[ROWS], report[LINES], report[GAPS]
    stop = len(buffer)
    skipped = gaps[n_gaps - 1] - gaps[n_gaps - 2]
    why = DONE
    while at < stop:
        byte = buffer[at]
        if byte == 10 or byte == 13:
            if byte == 13 and at + 1 == stop and not last:
                why = CUT
                break
            at += 2 if byte == 13 and at + 1 < stop and buffer[at + 1] == 10 else 1
            report[BLANK] += 1
            line += 1
            continue
        if row == starts.shape[1] or n_gaps + 2 > len(gaps):
            why = FULL
            break
        begin, field, lines = at, 0, 1
        while True:
            role = roles[field] if field < n_fields else np.int8(-1)
            number, whole = np.int64(0), numeric
            left = at
            if at < stop and buffer[at] == quote:
                whole, doubled = False, False
                left = at = at + 1
                while True:
                    while at < stop and buffer[at] != quote:
                        if buffer[at] == 10 or (
                            buffer[at] == 13 and not (at + 1 < stop and buffer[at + 1] == 10)
                        ):
                            lines += 1
                        at += 1
                    if at == stop or (at + 1 == stop and not last):
                        why = ODD if last else CUT
                        break
                    if at + 1 < stop and buffer[at + 1] == quote:
                        doubled = True
                        at += 2
                        continue
                    break
                if why != DONE:
                    break
                right = at
                at += 1
                if doubled and role >= 0:
                    why = ODD
                    break
                if at < stop and buffer[at] != first and buffer[at] != 10 and buffer[at] != 13:
                    why = ODD
                    break
            else:
                while at < stop and numeric:
                    digit = np.uint64(buffer[np.uint64(at)]) - np.uint64(48)
                    if digit > np.uint64(9):
                        break
                    number = 10 * number + np.int64(digit)
                    at += 1
                while at < stop:
                    byte = buffer[np.uint64(at)]
                    if byte == 10 or byte == 13:
                        break
                    if byte == first:
                        if width == 1:
                            break
                        same = at + width <= stop
                        for k in range(1, width):
                            if same and buffer[at + k] != delimiter[k]:
                                same = False
                        if same:
                            break
                    whole = False
                    at += 1
                right = at
            if role >= 0:
                size = right - left
                starts[role, row] = left
                ends[role, row] = right
                if whole and role == timed:
                    if 0 < size <= 18:
                        starts[role, row] = KNOWN
                        values[row] = number
                        forms[row] = WHOLE
                elif whole and 0 < size <= DIGITS and (size == 1 or buffer[left] != 48):
                    starts[role, row] = KNOWN
                    codes[role, row] = number
            field += 1
            if at == stop:
                why = DONE if last else CUT
                break
            byte = buffer[at]
            if byte == 10:
                at += 1
                break
            if byte == 13:
                if at + 1 == stop and not last:
                    why = CUT
                    break
                at += 2 if at + 1 < stop and buffer[at + 1] == 10 else 1
                break
            for k in range(width):
                if at + k >= stop or buffer[at + k] != delimiter[k]:
                    why = ODD
            if why != DONE:
                break
            at += width
        if why == CUT and stop - begin > MAX_ROW:
            why = ODD
        if why == DONE and (field != n_fields or at - begin > MAX_ROW):
            why = ODD
        if why != DONE:
            at = begin
            break
        if line != row + skipped:
            gaps[n_gaps], gaps[n_gaps + 1] = row, line
            skipped = line - row
            n_gaps += 2
        report[SPANNING] += lines > 1
        line += lines
        row += 1
    report[AT], report[ROWS], report[LINES], report[GAPS] = at, row, line, n_gaps
    return why
