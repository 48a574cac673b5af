"""Moments as people write them, in seconds since 1970 UTC."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from recexp.arrays import AnyArray, BoolArray, IntArray

TEXT, WHOLE, DATE, LOCAL, ZONED = range(5)
"""Forms of a moment: neither of these, a whole number, ISO 8601: a date, without and with zone."""
LATEST = int(datetime(2100, 1, 1, tzinfo=UTC).timestamp())
"""Moments from here on are mistakes, as those before 1970 are."""
UNITS = (
    ("nanoseconds", 10**17, 10**9),
    ("microseconds", 10**14, 10**6),
    ("milliseconds", 10**11, 10**3),
)
"""name, the median from which numbers are taken for it (in 1973), how many make a second"""
IMPOSSIBLE = "timestamp not a time from 1970 to 2099"
FORMS = {
    WHOLE: "number",
    DATE: "date only",
    LOCAL: "date and time without zone (taken as UTC)",
    ZONED: "date and time with zone",
}
_SAMPLE = 1 << 20


@dataclass
class Moments:
    """A column of moments as read.

    Attributes:
        values: int64: the number, seconds since 1970 UTC, or the place in `texts`.
        forms: uint8: which of these (WHOLE; DATE, LOCAL, ZONED; TEXT), of each row, or of all.
        counts: rows by form, int64 (5,).
        texts: distinct texts that are neither a plain whole number nor plain ISO 8601.
    """

    values: IntArray
    forms: AnyArray
    counts: IntArray
    texts: Sequence[bytes]

    @classmethod
    def of(cls, parts: Sequence[tuple[IntArray, AnyArray]], texts: Sequence[bytes]) -> Moments:
        """Return the column of parts (values, forms)."""
        counts = np.zeros(5, np.int64)
        for _, forms in parts:
            counts += [np.count_nonzero(forms == form) for form in range(5)]
        n = int(counts.sum())
        values = np.concatenate([values for values, _ in parts]) if n else np.empty(0, np.int64)
        if n and counts.max() == n:
            return cls(values, np.broadcast_to(np.uint8(counts.argmax()), n), counts, texts)
        several = np.concatenate([np.empty(0, np.uint8), *(forms for _, forms in parts)])
        return cls(values, several, counts, texts)

    def text(self, row: int) -> str:
        """Return a row for people, much as the source has it."""
        value, form = int(self.values[row]), int(self.forms[row])
        if form == TEXT:
            return self.texts[value].decode("utf-8", "replace")
        if form == WHOLE:
            return str(value)
        return str(np.datetime64(value, "s")).removesuffix("T00:00:00" if form == DATE else "")


@dataclass(frozen=True)
class Times:
    """Moments understood.

    Attributes:
        seconds: int64 since 1970 UTC; 0 where it is wrong.
        wrong: rows that cannot be used, by reason.
        written: how most are written: a unit of numbers, or ISO 8601.
        forms: rows by form.
    """

    seconds: IntArray
    wrong: dict[str, BoolArray]
    written: str
    forms: dict[str, int]


def moment(text: bytes) -> tuple[int, int]:
    """Return the form of a text and its value: a number, or seconds since 1970 UTC; 0 for TEXT.

    >>> moment(b"12"), moment(b"1970-01-02"), moment(b"1970-01-01 00:00:01Z"), moment(b"noon")
    ((1, 12), (2, 86400), (4, 1), (0, 0))
    """
    if _WHOLE.fullmatch(text):
        return WHOLE, int(text)
    if _ISO.fullmatch(text):
        with suppress(ValueError, OverflowError):
            found = datetime.fromisoformat(text.decode())
            form = DATE if len(text) == 10 else ZONED if found.tzinfo else LOCAL
            return form, _seconds(found)
    return TEXT, 0


_WHOLE = re.compile(rb"-?(?:[0-9]{1,18}|[0-8][0-9]{18})")
_ISO = re.compile(
    rb"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    rb"(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?(?:Z|[+-][0-9]{2}:[0-9]{2})?)?"
)


def understand(moments: Moments) -> Times:
    """Return the seconds of a column, and what in it is wrong.

    Whether the column has numbers or ISO 8601 dates, and the unit of the numbers (by their
    median), is what most rows say; the others are wrong, as is what lies before 1970 or after
    2099. Nothing is read as something it need not be: 01/02/2020 is not understood.
    """
    values, forms, counts = moments.values, moments.forms, moments.counts
    if moments.texts:
        values, forms = _with_texts(moments)
        counts = np.bincount(forms, minlength=5)
    numbers = int(counts[WHOLE])
    if counts[DATE] + counts[LOCAL] + counts[ZONED] > numbers:
        written, divisor = "ISO 8601", 1
        other = None if numbers == 0 else forms == WHOLE
    else:
        written, divisor = _unit(values, forms, numbers)
        other = None if numbers + counts[TEXT] == len(forms) else forms > WHOLE
    wrong = {}
    unread = None if counts[TEXT] == 0 else forms == TEXT
    if other is not None:
        wrong[f"timestamp not in {written}, as most are"] = other
    seconds = values // divisor if divisor > 1 else values
    if divisor > 1:
        strange = (forms == WHOLE) & (np.abs(values) < _least(written))
        if strange.any():
            wrong[f"timestamp not in {written}, as most are"] = strange | (
                False if other is None else other
            )
    impossible = None
    if len(seconds) and (seconds.min() < 0 or seconds.max() >= LATEST):
        impossible = (seconds < 0) | (seconds >= LATEST)
    if unread is not None:
        impossible = unread if impossible is None else impossible | unread
    if impossible is not None:
        wrong[IMPOSSIBLE] = impossible
    return Times(
        seconds,
        wrong,
        written,
        {name: int(counts[form]) for form, name in FORMS.items() if counts[form]}
        | ({"other": int(counts[TEXT])} if counts[TEXT] else {}),
    )


def _with_texts(moments: Moments) -> tuple[IntArray, AnyArray]:
    """Values and forms with the texts read that can be: numbers with a fraction, odder dates."""
    read = np.array([_read(text) for text in moments.texts], np.int64).reshape(-1, 2)
    rows = np.flatnonzero(moments.forms == TEXT)
    values, forms = moments.values.copy(), moments.forms.copy()
    codes = values[rows]
    forms[rows] = read[codes, 0]
    values[rows] = read[codes, 1]
    return values, forms


def _read(text: bytes) -> tuple[int, int]:
    try:
        plain = text.decode().strip()
    except UnicodeDecodeError:
        return TEXT, 0
    form, value = moment(plain.encode())
    if form != TEXT:
        return form, value
    with suppress(ValueError, OverflowError):
        if "_" not in plain and abs(number := float(plain)) < 9e18:
            return WHOLE, int(number // 1)
    with suppress(ValueError, OverflowError):
        if len(plain) > 10:  # 2020W101 is a week to Python, an id to everyone else
            iso = plain.removesuffix(" UTC") + "Z" if plain.endswith(" UTC") else plain
            found = datetime.fromisoformat(iso)
            return (ZONED if found.tzinfo else LOCAL), _seconds(found)
    return TEXT, 0


def _seconds(found: datetime) -> int:
    zoned = found if found.tzinfo else found.replace(tzinfo=UTC)
    return (zoned.replace(microsecond=0) - _EPOCH) // _SECOND


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = datetime(1970, 1, 1, 0, 0, 1) - datetime(1970, 1, 1)


def _unit(values: IntArray, forms: AnyArray, n_numbers: int) -> tuple[str, int]:
    """The unit of the numbers, by the median of at most a million of them."""
    if n_numbers == 0:
        return "seconds", 1
    step = max(1, len(values) // _SAMPLE)
    numbers = values[::step] if n_numbers == len(values) else values[forms == WHOLE][::step]
    median = np.median(np.abs(numbers))
    for name, least, per_second in UNITS:
        if median >= least:
            return name, per_second
    return "seconds", 1


def _least(written: str) -> int:
    return next(least for name, least, _ in UNITS if name == written)
