"""Compiled: spans of bytes into the codes of texts, and into moments."""

from __future__ import annotations

import numpy as np

from recexp.data.scan_spans import KNOWN
from recexp.data.timestamps import DATE, LOCAL, TEXT, WHOLE, ZONED

PRIME, OFFSET = 0x100000001B3, 0xCBF29CE484222325

ENCODE = (
    "int64(Array(uint8, 1, 'C', readonly=True), int32[::1], int32[::1], int64, int32[::1], "
    "boolean[::1], int64[::1], int32[::1], uint64[::1], int64[::1], uint8[::1])"
)
MOMENTS = (
    "void(Array(uint8, 1, 'C', readonly=True), int32[::1], int32[::1], int64[::1], uint8[::1])"
)


def encode(  # type: ignore[no-untyped-def]  # numba infers types
    buffer, starts, ends, begin, codes, seen, sizes, slots, hashes, pool_ends, pool
):
    """Write the code of each span from `begin` on, and mark whole numbers as seen.

    A whole number for which `seen` has a place is its own code; the texts, in the order in which
    they are first seen, have -1, -2, ... A span that starts at KNOWN keeps its code. `sizes` is
    (texts known, bytes in the pool); text t has the bytes up to `pool_ends[t]`. Returns the first
    span for which there was no room.
    """
    mask = len(slots) - 1
    for row in range(begin, len(starts)):
        left, right = starts[row], ends[row]
        if left == KNOWN:
            if codes[row] >= 0:
                seen[codes[row]] = True
            continue
        size = right - left
        number = -1
        if 0 < size <= 9 and (size == 1 or buffer[left] != 48):
            number = 0
            for at in range(left, right):
                digit = buffer[at] - 48
                if digit < 0 or digit > 9:
                    number = -1
                    break
                number = 10 * number + digit
        if 0 <= number < len(seen):
            codes[row] = number
            seen[number] = True
            continue
        value = np.uint64(OFFSET)
        for at in range(left, right):
            value = (value ^ np.uint64(buffer[at])) * np.uint64(PRIME)
        value ^= value >> np.uint64(29)
        slot = np.int64(value & np.uint64(mask))
        text = slots[slot]
        while text >= 0:
            if hashes[text] == value:
                known = pool_ends[text - 1] if text > 0 else 0
                if pool_ends[text] - known == size:
                    same = True
                    for at in range(size):
                        if pool[known + at] != buffer[left + at]:
                            same = False
                            break
                    if same:
                        break
            slot = (slot + 1) & mask
            text = slots[slot]
        if text < 0:
            text = sizes[0]
            if text == len(hashes) or sizes[1] + size > len(pool):
                return row
            for at in range(size):
                pool[sizes[1] + at] = buffer[left + at]
            sizes[0] += 1
            sizes[1] += size
            pool_ends[text] = sizes[1]
            hashes[text] = value
            slots[slot] = text
        codes[row] = -1 - text
    return len(starts)


def moments(buffer, starts, ends, values, forms):  # type: ignore[no-untyped-def]  # numba infers types
    """Write the number, or the seconds since 1970 UTC, of each span and its form.

    What belongs to a span that starts at KNOWN stays.
    """
    for row in range(len(starts)):
        left, right = starts[row], ends[row]
        if left == KNOWN:
            continue
        values[row] = 0
        forms[row] = TEXT
        if right == left:
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
