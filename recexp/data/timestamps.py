"""Moments as people write them, in seconds since 1970 UTC."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import numpy as np

from recexp.arrays import AnyArray, BoolArray, FloatArray, IntArray
from recexp.data.arrow import encode, to_numpy

LATEST = int(datetime(2100, 1, 1, tzinfo=UTC).timestamp())
"""Moments from here on are mistakes, as those before 1970 are."""
UNITS = (
    ("nanoseconds", 1e17, 10**9),
    ("microseconds", 1e14, 10**6),
    ("milliseconds", 1e11, 10**3),
)
"""name, the median from which numbers are taken for it (in 1973), how many make a second"""


def parse_timestamps(texts: Any) -> tuple[IntArray, BoolArray, str]:
    """Return seconds since 1970 UTC, which of them are right, and how they were written.

    `texts` (a `pyarrow.ChunkedArray` of strings) are numbers, whose unit is told by their median,
    or ISO 8601 dates, UTC unless they have a zone. Whichever most rows are is what all must be.
    Not right is what parses as neither, or is not within 1970 to 2099; its seconds are 0.
    """
    numbers, dates = _parse(texts)
    numeric, dated = np.isfinite(numbers), np.isfinite(dates)
    if dated.sum() > numeric.sum():
        seconds, usable, written = np.where(dated, dates, 0), dated, "ISO 8601"
    else:
        usable = numeric
        median = np.median(np.abs(numbers[numeric])) if numeric.any() else 0
        written, divisor = "seconds", 1
        for unit, least, per_second in UNITS:
            if median >= least:
                written, divisor = unit, per_second
                break
        seconds = np.where(numeric, numbers, 0) // divisor
    right = usable & (seconds >= 0) & (seconds < LATEST)
    return np.where(right, seconds, 0).astype(np.int64), right, written


def _parse(texts: Any) -> tuple[AnyArray, FloatArray]:
    """Return the numbers (int64 if all are whole) and the seconds of the dates; NaN for none."""
    import pyarrow as pa
    import pyarrow.compute as pc

    none = np.full(len(texts), np.nan)
    for kind in (pa.int64(), pa.float64()):
        with suppress(pa.ArrowInvalid):
            return to_numpy(pc.cast(texts, kind)), none
    for kind in (pa.timestamp("us"), pa.timestamp("us", "UTC")):
        with suppress(pa.ArrowInvalid):
            microseconds = to_numpy(pc.cast(pc.cast(texts, kind), pa.int64()))
            return none, np.floor(microseconds / 1e6)
    # Not all alike: one by one, each distinct text once.
    distinct, codes = encode(texts)
    both = np.array([_moment(text) for text in distinct]).reshape(-1, 2)
    return both[codes, 0], both[codes, 1]


def _moment(text: str) -> tuple[float, float]:
    with suppress(ValueError):
        return float(text), np.nan
    with suppress(ValueError, OverflowError):
        moment = datetime.fromisoformat(text.strip())
        return np.nan, (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() // 1
    return np.nan, np.nan
