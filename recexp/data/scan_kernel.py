"""The compiled parts of reading delimited text: rows to spans, spans to codes and moments.

They do what `rows.parse_row` and `timestamps.moment` do, and only where that is plain: a row with
anything unusual is left to those. `tests/data/test_scan.py` holds both side by side.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np

from recexp.data.cache import cache_folder

DONE, ODD, CUT, FULL = range(4)
"""Why `spans` stops: no byte is left; a row is unusual, or not all there; no room for more."""
AT, ROWS, LINES, BLANK, SPANNING, GAPS = range(6)
"""Places in `report`: the first byte not read, rows, lines, blank lines, rows over several lines,
entries of `gaps`."""
TEXT, WHOLE, DATE, LOCAL, ZONED = range(5)
"""Forms of a moment: not told here, a whole number, and ISO 8601: a date, without and with zone."""
DIRECT = 1_000_000
"""Whole numbers below have their codes in a table of their own."""
MAX_ROW = 1 << 20
"""Bytes of the longest row that is read."""
PRIME, OFFSET = 0x100000001B3, 0xCBF29CE484222325


class Kernels(NamedTuple):
    """Compiled functions, see `_spans`, `_encode` and `_moments`."""

    spans: Any
    encode: Any
    moments: Any


@cache
def kernels() -> Kernels:
    """Return the compiled functions; their machine code is kept in the cache folder.

    Importing numba takes about half a second; where no folder can be written, each process
    compiles for some seconds.
    """
    import numba

    u8, i8, i32, i64, u64 = (
        numba.types.Array(kind, 1, "C")
        for kind in (numba.uint8, numba.int8, numba.int32, numba.int64, numba.uint64)
    )
    text = numba.types.Array(numba.uint8, 1, "C", readonly=True)
    table = numba.types.Array(numba.int32, 2, "C")
    one, flag = numba.int64, numba.boolean
    signatures = (
        (_spans, one(text, one, one, flag, text, one, one, i8, table, table, i64, i64)),
        (_encode, one(text, i32, i32, one, i32, i64, i32, u64, i64, u8, i32)),
        (_moments, numba.void(text, i32, i32, i64, u8)),
    )
    config: Any = numba.config
    chosen = config.CACHE_DIR
    config.CACHE_DIR = chosen or str(cache_folder() / "numba")
    try:
        return Kernels(*(numba.njit(s, nogil=True, cache=True)(f) for f, s in signatures))
    except (RuntimeError, OSError):  # no folder to cache in
        return Kernels(*(numba.njit(s, nogil=True)(f) for f, s in signatures))
    finally:
        config.CACHE_DIR = chosen


def _spans(  # type: ignore[no-untyped-def]
    buffer, start, stop, last, delimiter, quote, n_fields, roles, starts, ends, gaps, report
):
    """Write where the wanted fields of plain rows begin and end; return why it stopped.

    buffer[start:stop] begins with a row; `last` says that nothing follows. `quote` is a byte, or
    -1. `roles[f]` is the row of `starts` and `ends` (roles, rows) for field f, or -1. `gaps`
    takes (row, line) wherever a row is not on the line after the one before it.
    """
    first, width = delimiter[0], len(delimiter)
    row, at = report[ROWS], start
    while at < stop:
        byte = buffer[at]
        if byte == 10 or byte == 13:
            if byte == 13 and at + 1 == stop and not last:
                report[AT] = at
                return CUT
            at += 2 if byte == 13 and at + 1 < stop and buffer[at + 1] == 10 else 1
            report[BLANK] += 1
            report[LINES] += 1
            continue
        if row == starts.shape[1] or report[GAPS] + 2 > len(gaps):
            report[AT] = at
            return FULL
        begin, field, lines, why = at, 0, 0, DONE
        while True:
            left = at
            if at < stop and buffer[at] == quote:
                left = at + 1
                at = left
                doubled = False
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
                if doubled and field < n_fields and roles[field] >= 0:
                    why = ODD
                    break
                if at < stop and buffer[at] != first and buffer[at] != 10 and buffer[at] != 13:
                    why = ODD
                    break
            else:
                while at < stop:
                    byte = buffer[at]
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
                    at += 1
                right = at
            if field < n_fields and roles[field] >= 0:
                starts[roles[field], row] = left
                ends[roles[field], row] = right
            field += 1
            if at == stop:
                why = DONE if last else CUT
                lines += 1
                break
            byte = buffer[at]
            if byte == 10:
                at += 1
                lines += 1
                break
            if byte == 13:
                if at + 1 == stop and not last:
                    why = CUT
                    break
                at += 2 if at + 1 < stop and buffer[at + 1] == 10 else 1
                lines += 1
                break
            for k in range(width):
                if at + k >= stop or buffer[at + k] != delimiter[k]:
                    why = ODD
            if why != DONE:
                break
            at += width
        if why == CUT:
            report[AT] = begin
            return CUT if stop - begin <= MAX_ROW else ODD
        if why == ODD or field != n_fields or at - begin > MAX_ROW:
            report[AT] = begin
            return ODD
        if report[LINES] != gaps[report[GAPS] - 1] + row - gaps[report[GAPS] - 2]:
            gaps[report[GAPS]] = row
            gaps[report[GAPS] + 1] = report[LINES]
            report[GAPS] += 2
        if lines > 1:
            report[SPANNING] += 1
        report[LINES] += lines
        row += 1
        report[ROWS] = row
    report[AT] = at
    return DONE


def _encode(  # type: ignore[no-untyped-def]
    buffer, starts, ends, begin, codes, sizes, slots, hashes, pool_ends, pool, direct
):
    """Give each span from `begin` on the code of its bytes; new bytes get the next code.

    `sizes` is (codes given, bytes in the pool); code c has the bytes up to `pool_ends[c]`. A span
    that starts at -1 gets -1. Returns the first span for which there was no room.
    """
    mask = len(slots) - 1
    for row in range(begin, len(starts)):
        left, right = starts[row], ends[row]
        if left < 0:
            codes[row] = -1
            continue
        size = right - left
        number = -1
        if 0 < size <= 6 and (size == 1 or buffer[left] != 48):
            number = 0
            for at in range(left, right):
                digit = buffer[at] - 48
                if digit < 0 or digit > 9:
                    number = -1
                    break
                number = 10 * number + digit
            if number >= 0 and direct[number] >= 0:
                codes[row] = direct[number]
                continue
        value = np.uint64(OFFSET)
        for at in range(left, right):
            value = (value ^ np.uint64(buffer[at])) * np.uint64(PRIME)
        value ^= value >> np.uint64(29)
        slot = np.int64(value & np.uint64(mask))
        code = slots[slot]
        while code >= 0:
            if hashes[code] == value:
                known = pool_ends[code - 1] if code > 0 else 0
                if pool_ends[code] - known == size:
                    same = True
                    for at in range(size):
                        if pool[known + at] != buffer[left + at]:
                            same = False
                            break
                    if same:
                        break
            slot = (slot + 1) & mask
            code = slots[slot]
        if code < 0:
            code = sizes[0]
            if code == len(hashes) or sizes[1] + size > len(pool):
                return row
            for at in range(size):
                pool[sizes[1] + at] = buffer[left + at]
            sizes[0] += 1
            sizes[1] += size
            pool_ends[code] = sizes[1]
            hashes[code] = value
            slots[slot] = code
        if number >= 0:
            direct[number] = code
        codes[row] = code
    return len(starts)


def _moments(buffer, starts, ends, values, forms):  # type: ignore[no-untyped-def]
    """Write the number, or the seconds since 1970 UTC, of each span and its form."""
    for row in range(len(starts)):
        left, right = starts[row], ends[row]
        values[row] = 0
        forms[row] = TEXT
        if left < 0 or right == left:
            continue
        at = left + 1 if buffer[left] == 45 else left
        if 0 < right - at <= 18 or (right - at == 19 and buffer[at] < 57):
            number = np.int64(0)
            while at < right and 48 <= buffer[at] <= 57:
                number = 10 * number + (buffer[at] - 48)
                at += 1
            if at == right:
                values[row] = -number if buffer[left] == 45 else number
                forms[row] = WHOLE
                continue
        size = right - left
        if size < 10 or buffer[left + 4] != 45 or buffer[left + 7] != 45:
            continue
        plain = True
        for k in (0, 1, 2, 3, 5, 6, 8, 9):
            if not 48 <= buffer[left + k] <= 57:
                plain = False
        if not plain:
            continue
        year = np.int64(0)
        for k in range(4):
            year = 10 * year + (buffer[left + k] - 48)
        month = 10 * (np.int64(buffer[left + 5]) - 48) + (buffer[left + 6] - 48)
        day = 10 * (np.int64(buffer[left + 8]) - 48) + (buffer[left + 9] - 48)
        length = 31
        if month == 4 or month == 6 or month == 9 or month == 11:
            length = 30
        elif month == 2:
            leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
            length = 29 if leap else 28
        if not (1 <= month <= 12 and 1 <= day <= length and year >= 1):
            continue
        # Days since 1970 in a calendar whose years begin in March, so that leap days come last.
        y = year - 1 if month <= 2 else year
        m = month + 9 if month <= 2 else month - 3
        days = 365 * y + y // 4 - y // 100 + y // 400 + (153 * m + 2) // 5 + day - 1 - 719468
        if size == 10:
            values[row] = 86400 * days
            forms[row] = DATE
            continue
        if size < 16 or (buffer[left + 10] != 84 and buffer[left + 10] != 32):
            continue
        # hours, minutes and, if they are there, seconds
        seconds, at, unit = np.int64(0), left + 11, 3600
        while unit > 0 and plain:
            if at + 2 > right or not (48 <= buffer[at] <= 57 and 48 <= buffer[at + 1] <= 57):
                plain = False
                break
            part = 10 * (np.int64(buffer[at]) - 48) + (buffer[at + 1] - 48)
            if part > (23 if unit == 3600 else 59):
                plain = False
            seconds += part * unit
            at += 2
            unit //= 60
            if unit > 0 and at < right and buffer[at] == 58:
                at += 1
            elif unit == 60:
                plain = False
            else:
                break
        if not plain:
            continue
        if at < right and buffer[at] == 46 and unit == 0:
            at += 1
            begin = at
            while at < right and 48 <= buffer[at] <= 57:
                at += 1
            if at == begin:
                continue
        form, offset = LOCAL, np.int64(0)
        if right - at == 1 and buffer[at] == 90:
            form = ZONED
        elif right - at == 6 and (buffer[at] == 43 or buffer[at] == 45) and buffer[at + 3] == 58:
            for k in (1, 2, 4, 5):
                if not 48 <= buffer[at + k] <= 57:
                    plain = False
            hours = 10 * (np.int64(buffer[at + 1]) - 48) + (buffer[at + 2] - 48)
            minutes = 10 * (np.int64(buffer[at + 4]) - 48) + (buffer[at + 5] - 48)
            if not plain or hours > 23 or minutes > 59:
                continue
            offset = 3600 * hours + 60 * minutes
            if buffer[at] == 45:
                offset = -offset
            form = ZONED
        elif at != right:
            continue
        values[row] = 86400 * days + seconds - offset
        forms[row] = form
