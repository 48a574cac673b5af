"""Rows in the order of (user, item), by counting, in pieces that fit a processor's cache.

First the rows are dealt out to parts, ranges of users, each row to the next free place of its part;
then each part is sorted by the digits of its keys and written out. A key is a user and an item in
one number. Both steps are compiled, and keep rows with the same key in the order they came in.
"""

from __future__ import annotations

import itertools
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from recexp.arrays import AnyArray, Float32Array, IdxArray, IntArray
from recexp.data.compiled import compiled

PART = 1 << 15
"""Rows of a part, about: what fits a processor's own cache."""
N_PARTS = 1 << 10
"""Parts at most: more could not all be written to at once."""
DIGIT = 12
"""Bits by which a part is sorted at once: that many counters fit the nearest cache."""
COUNT = "void(Array(int32, 1, 'C', readonly=True), int64, int64[::1])"
DEAL = (
    "void(Array(int32, 1, 'C', readonly=True), Array(int32, 1, 'C', readonly=True), "
    "Array(float32, 1, 'C', readonly=True), Array(int64, 1, 'C', readonly=True), "
    "int64, int64, int64[::1], uint64[::1], float32[::1], int64[::1])"
)
SORT = (
    "void(uint64[::1], int64[::1], int64, int64, int64, int64, "
    "int32[::1], int32[::1], float32[::1], int64[::1])"
)


def by_pair(
    user_idx: IdxArray,
    item_idx: IdxArray,
    values: Float32Array,
    timestamps: IntArray | None,
    n_users: int,
    n_items: int,
) -> tuple[IdxArray, IdxArray, Float32Array, IntArray | None]:
    """Return the columns in the order of (user, item), rows of one pair in that they came in."""
    n, n_threads = len(user_idx), min(os.cpu_count() or 1, 4)
    shift, item_bits = _shift(n, n_users), (n_items - 1).bit_length()
    n_parts = ((n_users - 1) >> shift) + 1
    counting, dealing, sorting = compiled(count, COUNT), compiled(deal, DEAL), compiled(sort, SORT)
    cuts = [n * thread // n_threads for thread in range(n_threads + 1)]
    slices = [slice(*ends) for ends in itertools.pairwise(cuts)]
    times = np.empty(0, np.int64) if timestamps is None else timestamps
    keys, dealt = np.empty(n, np.uint64), (np.empty(n, np.float32), np.empty_like(times))
    users, items = np.empty(n, np.int32), np.empty(n, np.int32)
    with ThreadPoolExecutor(n_threads) as pool:
        counts = np.zeros((n_threads, n_parts), np.int64)
        list(pool.map(lambda rows, to: counting(user_idx[rows], shift, to), slices, counts))
        # Of each part first the rows of the first thread, then those of the next.
        ends = np.cumsum(counts.T).reshape(n_parts, n_threads).T
        bounds = np.append(0, ends[-1])

        def deal_out(rows: slice, places: AnyArray) -> None:
            columns = (user_idx[rows], item_idx[rows], values[rows], times[rows])
            dealing(*columns, shift, item_bits, places, keys, *dealt)

        list(pool.map(deal_out, slices, np.ascontiguousarray(ends - counts)))
        parts = np.searchsorted(bounds, cuts[:-1]).tolist()

        def sort_parts(first: int, stop: int) -> None:
            sorting(keys, bounds, first, stop, shift, item_bits, users, items, *dealt)

        list(pool.map(sort_parts, parts, [*parts[1:], n_parts]))
    return users, items, dealt[0], None if timestamps is None else dealt[1]


def fits(n_rows: int, n_users: int, n_items: int) -> bool:
    """Return whether a row's user within its part, its item and its place fit 64 bits."""
    return _shift(n_rows, n_users) + (n_items - 1).bit_length() + n_rows.bit_length() <= 64


def _shift(n_rows: int, n_users: int) -> int:
    """By how many bits a user is shifted to tell his part."""
    part_bits = min(n_rows // PART, N_PARTS).bit_length() - 1
    return max(0, (n_users - 1).bit_length() - part_bits)


def count(user_idx, shift, counts):  # type: ignore[no-untyped-def]  # numba infers types
    """Add to `counts` how many rows each part has; a user's is `user >> shift`."""
    for row in range(len(user_idx)):
        counts[user_idx[row] >> shift] += 1


def deal(  # type: ignore[no-untyped-def]  # numba infers types
    user_idx, item_idx, values, timestamps, shift, item_bits, places, keys, part_values, part_times
):
    """Write each row to the next place of its part, of which `places` has the first.

    Without timestamps those arrays are empty.
    """
    timed = len(timestamps) > 0
    for row in range(len(user_idx)):
        part = user_idx[row] >> shift
        place = places[part]
        places[part] = place + 1
        keys[place] = np.uint64(user_idx[row]) << np.uint64(item_bits) | np.uint64(item_idx[row])
        part_values[place] = values[row]
        if timed:
            part_times[place] = timestamps[row]


def sort(  # type: ignore[no-untyped-def]  # numba infers types
    keys, bounds, first_part, stop_part, shift, item_bits, user_idx, item_idx, values, timestamps
):
    """Put the rows of some parts in order; part p has the rows from `bounds[p]` on.

    A row becomes one number, of its key within the part and its place there: what is moved until
    all is in order. Key and place must fit 64 bits. `values` and `timestamps` are those of `keys`,
    and put in order where they are.
    """
    timed = len(timestamps) > 0
    key_bits = shift + item_bits
    n_digits = max(1, (key_bits + DIGIT - 1) // DIGIT)
    width = (key_bits + n_digits - 1) // n_digits
    longest = 0
    for part in range(first_part, stop_part):
        longest = max(longest, bounds[part + 1] - bounds[part])
    rows, moved = np.empty(longest, np.uint64), np.empty(longest, np.uint64)
    held_values, held_times = np.empty(longest, np.float32), np.empty(longest, np.int64)
    counts = np.empty((n_digits, 1 << width), np.int64)
    digit_mask = np.uint64((1 << width) - 1)
    item_mask = (np.uint64(1) << np.uint64(item_bits)) - np.uint64(1)
    for part in range(first_part, stop_part):
        start, n = bounds[part], bounds[part + 1] - bounds[part]
        place_bits = 0
        while (1 << place_bits) < n:
            place_bits += 1
        base = np.uint64(part) << np.uint64(key_bits)
        counts[:] = 0
        for place in range(n):
            key = keys[start + place] - base
            rows[place] = key << np.uint64(place_bits) | np.uint64(place)
            for digit in range(n_digits):
                counts[digit, np.int64(key & digit_mask)] += 1
                key >>= np.uint64(width)
        for digit in range(n_digits):
            before = 0
            for value in range(1 << width):
                counts[digit, value], before = before, before + counts[digit, value]
            right = np.uint64(place_bits + digit * width)
            for place in range(n):
                bucket = np.int64((rows[place] >> right) & digit_mask)
                moved[counts[digit, bucket]] = rows[place]
                counts[digit, bucket] += 1
            rows, moved = moved, rows
        place_mask = (np.uint64(1) << np.uint64(place_bits)) - np.uint64(1)
        held_values[:n] = values[start : start + n]
        if timed:
            held_times[:n] = timestamps[start : start + n]
        for row in range(n):
            source = np.int64(rows[row] & place_mask)
            key = keys[start + source]
            user_idx[start + row] = key >> np.uint64(item_bits)
            item_idx[start + row] = key & item_mask
            values[start + row] = held_values[source]
            if timed:
                timestamps[start + row] = held_times[source]
