"""The compiled twin of `selection.collect`."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from recexp.data.cache import cache_folder
from recexp.evaluation.selection import Collect


@cache
def compiled_collect() -> Collect:
    """Return `selection.collect` compiled: the same results, and threads run side by side.

    Importing numba takes about a second. The machine code is kept in the cache folder, where the
    first call on a machine leaves it after some seconds; without a folder that can be written,
    each process compiles. Raises ImportError when numba cannot be imported.
    """
    import numba

    uint64, int64, int32, float32 = numba.uint64, numba.int64, numba.int32, numba.float32

    def readonly(dtype: Any, n_axes: int) -> Any:
        return numba.types.Array(dtype, n_axes, "C", readonly=True)

    signature = int64(
        *(uint64[:, ::1], int64[::1], readonly(uint64, 1), readonly(float32, 1)),
        *(int64[::1], readonly(int64, 1), readonly(int32, 1), readonly(uint64, 1)),
        *(readonly(float32, 2), int64, int64, int64),
    )
    config: Any = numba.config
    chosen = config.CACHE_DIR
    config.CACHE_DIR = chosen or str(cache_folder() / "numba")
    try:
        compiled: Collect = numba.njit(signature, nogil=True, cache=True)(_collect)
    except (RuntimeError, OSError):  # no folder to cache in
        compiled = numba.njit(signature, nogil=True)(_collect)
    finally:
        config.CACHE_DIR = chosen
    return compiled


def _collect(  # type: ignore[no-untyped-def]
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
