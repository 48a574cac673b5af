"""The compiled twin of `selection.collect`."""

from __future__ import annotations

from functools import cache

import numpy as np

from recexp.data.compiled import compiled, signature
from recexp.evaluation.selection import Collect


@cache
def compiled_collect() -> Collect:
    """Return `selection.collect` compiled: the same results, and threads run side by side.

    Raises ImportError when numba cannot be imported.
    """
    found: Collect = compiled(_collect, _TYPES)
    return found


_TYPES = signature(
    "int64",
    *("uint64[][]!", "int64[]!", "uint64[]", "float32[]"),
    *("int64[]!", "int64[]", "int32[]", "uint64[]"),
    *("float32[][]", "int64", "int64", "int64"),
)


def _collect(  # type: ignore[no-untyped-def]  # numba infers types
    keys,
    counts,
    worst,
    threshold,
    cursor,
    ends,
    seen,
    priority,
    scores,
    first,
    start,
    stop,
):
    width = stop - start
    passes = np.zeros((width + 7) // 8 * 8, np.bool_)
    eights = passes.view(np.uint64)
    most = 0
    for row in range(len(counts)):
        # Slices, because numba would check each computed index for a negative one, and then the
        # comparisons do not become vector instructions.
        piece = scores[row, start:stop]
        order = priority[first + start : first + stop]
        floor = threshold[row]
        for column in range(width):
            passes[column] = not piece[column] < floor  # NaN passes, to be found below
        at = cursor[row]
        while at < ends[row] and seen[at] < first + stop:
            passes[seen[at] - first - start] = False
            at += 1
        cursor[row] = at

        count = counts[row]
        for eight in range(len(eights)):
            if not eights[eight]:
                continue
            for column in range(8 * eight, 8 * eight + 8):
                if not passes[column] or not order[column]:
                    continue
                score = piece[column]
                if not score < np.inf:
                    return -1
                bits = np.float32(score + np.float32(0)).view(np.uint32)
                flip = (bits >> np.uint32(31)) * np.uint32(0x7FFFFFFF) | np.uint32(0x80000000)
                key = np.uint64(bits ^ flip) << np.uint64(32) | order[column]
                if key > worst[row]:
                    keys[row, count] = key
                    count += 1
        counts[row] = count
        most = max(most, count)
    return most
