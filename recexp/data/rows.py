"""The grammar of delimited text: where a row ends, what its fields are, what is wrong with it."""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_ROW = 1 << 20
"""Bytes of the longest row that is read."""

LINE_END = re.compile(rb"\r\n|\r|\n")
LONG = f"row longer than {MAX_ROW:,} bytes"
QUOTES = "quotes that do not match"


@dataclass(frozen=True)
class Dialect:
    """What separates fields, in UTF-8, and what may stand around them (one byte, or none)."""

    delimiter: bytes
    quote: bytes = b'"'


@dataclass(frozen=True)
class Row:
    """A row of text: its fields, or the reason why it has none.

    `size` are its bytes, with the line end, and `lines` the lines they fill: those of the first
    line alone where the row is refused, so that one stray quote never swallows what follows.
    """

    fields: list[bytes]
    problem: str | None
    size: int
    lines: int = 1


def parse_row(data: bytes, at: int, dialect: Dialect, n_fields: int, last: bool) -> Row | None:
    """Return the row that begins at `data[at]`, or None where more bytes must come first.

    A line ends with LF, CR LF or CR. A field that begins with the quote ends with the next one
    that is not doubled, delimiters and line ends in between belong to it; a quote elsewhere is a
    character like others. `n_fields` is what a row must have, 0 for any number. `last` says that
    nothing follows `data`.
    """
    end = LINE_END.search(data, at)
    if end is None or (not last and end.end() == len(data) and data[end.start()] == 13):
        if not last:
            return None if len(data) - at <= MAX_ROW else Row([], LONG, len(data) - at)
        stop = after = len(data)
    else:
        stop, after = end.span()
    line = data[at:stop]
    if len(line) > MAX_ROW:
        return Row([], LONG, after - at)
    if dialect.quote and dialect.quote in line:
        return _quoted(data, at, after, dialect, n_fields, last)
    fields = line.split(dialect.delimiter)
    problem = None if n_fields in (0, len(fields)) else f"not {n_fields} fields"
    return Row(fields, problem, after - at)


def _quoted(
    data: bytes, begin: int, after: int, dialect: Dialect, n_fields: int, last: bool
) -> Row | None:
    refused = Row([], QUOTES, after - begin)
    limit = min(len(data), begin + MAX_ROW + 1)
    whole = last or limit < len(data)
    quote, delimiter = dialect.quote, dialect.delimiter
    fields: list[bytes] = []
    at = begin
    while True:
        if data.startswith(quote, at):
            found = _closing(data, at + 1, limit, quote, whole)
            if found is None:
                return None
            text, at = found
            if at < 0:
                return refused
        else:
            end = LINE_END.search(data, at, limit)
            stop = end.start() if end else limit
            next_one = data.find(delimiter, at, stop)
            stop = stop if next_one < 0 else next_one
            text, at = data[at:stop], stop
        fields.append(text)
        if data.startswith(delimiter, at):
            at += len(delimiter)
            continue
        unsure = not last and len(data) - at < max(2, len(delimiter)) and data[at : at + 1] != b"\n"
        if unsure:
            return None if len(data) - begin <= MAX_ROW else refused
        end = LINE_END.match(data, at)
        if end is None and at < len(data):
            return refused
        size = (end.end() if end else at) - begin
        if at - begin > MAX_ROW:
            return refused
        if n_fields not in (0, len(fields)):
            return Row([], f"not {n_fields} fields", after - begin)
        return Row(fields, None, size, len(LINE_END.findall(data[begin:at])) + 1)


def _closing(
    data: bytes, at: int, limit: int, quote: bytes, whole: bool
) -> tuple[bytes, int] | None:
    """The text up to the closing quote and the place behind it, -1 without one; None: not here."""
    parts = []
    while True:
        found = data.find(quote, at, limit)
        if found < 0 or (found + 1 == limit and not whole):
            return (b"", -1) if whole else None
        parts.append(data[at:found])
        if data[found + 1 : found + 2] != quote:
            return quote.join(parts), found + 1
        at = found + 2
