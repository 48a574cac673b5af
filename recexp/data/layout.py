"""What a delimited text looks like: its delimiter, its header, its first rows."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from recexp.data.roles import usual_role
from recexp.data.rows import LINE_END, Dialect, Row, parse_row
from recexp.data.text import TextFile
from recexp.errors import ConfigError, DataError

DELIMITERS = (",", ";", "\t", "|", "::", " ")
"""What is tried, the likelier first where the first line has as many of one as of another."""
LOOKED_AT = 20
"""Rows by which columns without names are told apart."""


@dataclass(frozen=True)
class Look:
    """What the beginning of a file shows.

    Attributes:
        dialect: delimiter and quote.
        header: whether the first row is names.
        names: of the columns; without a header their numbers, from 1.
        rows: the first rows of data, as text.
        guessed: which of delimiter and header were guessed.
    """

    dialect: Dialect
    header: bool
    names: list[str]
    rows: list[list[str]]
    guessed: tuple[str, ...]


def look(
    file: TextFile,
    delimiter: str | None,
    quote: str,
    header: bool | None,
    columns: Mapping[str, str | int | None] | None,
) -> Look:
    """Return what the beginning of `file` shows; what is None is guessed.

    Raises ConfigError for a delimiter or quote that cannot be, DataError for a file without rows.
    """
    if len(quote.encode()) > 1 or quote in ("\r", "\n"):
        raise ConfigError(f"dataset.quote={quote!r}: expected one ASCII character, or ''")
    start = next(file.blocks(), b"")
    if not start:
        raise DataError(f"{file.path} is empty; expected a header line and rows")
    if b"\0" in start[:1000]:
        raise DataError(
            f"{file.path} is not text in {file.encoding}: it has zero bytes; set dataset.encoding, "
            "for instance utf-16, or dataset=parquet"
        )
    end = LINE_END.search(start)
    line = start if end is None else start[: end.start()]
    if not line.strip():
        raise DataError(f"{file.path} begins with an empty line; expected the names of the columns")
    text = line.decode("utf-8", "replace")
    dialect = Dialect((delimiter or _guess(text, quote)).encode(), quote.encode())
    if delimiter is not None and (not delimiter or re.search("[\r\n]", delimiter)):
        raise ConfigError(f"dataset.delimiter={delimiter!r}: expected at least one character")
    if quote and quote in dialect.delimiter.decode():
        raise ConfigError(f"dataset.quote={quote!r} is in dataset.delimiter={delimiter!r}")
    rows = _first_rows(start, dialect)
    if not rows:
        raise DataError(f"{file.path}: the first line cannot be read: {text[:60]!r}")
    cells = [cell.strip() for cell in rows[0]]
    guessed = ["delimiter"] if delimiter is None else []
    if header is None:
        guessed.append("header")
        header = _is_header(cells, columns or {})
    if header:
        names = [_untyped(cell) for cell in cells] if all(map(_typed, cells)) else cells
        rows = rows[1:]
        rest = b"" if end is None else start[end.end() :]
        if not rest.strip(b"\r\n") and len(start) < 1 << 20:
            raise DataError(f"{file.path} has a header but no rows; expected at least one")
    else:
        names = [str(number + 1) for number in range(len(cells))]
    return Look(dialect, header, names, rows, tuple(guessed))


def roles_by_place(rows: Sequence[Sequence[str]], n_columns: int) -> dict[str, str]:
    """Return the numbers of the columns (from 1) by role, for data without names.

    User and item come first, as in most published files; then a rating and a timestamp, which
    numbers beyond a hundred million and dates are.
    """
    found = {"user": "1", "item": "2"} if n_columns > 1 else {}
    for place in range(2, min(n_columns, 4)):
        cells = [row[place] for row in rows if len(row) == n_columns]
        role = "timestamp" if cells and all(map(_like_time, cells)) else "rating"
        if role not in found and (role == "timestamp" or all(map(_like_number, cells))):
            found[role] = str(place + 1)
    return found


def _first_rows(start: bytes, dialect: Dialect) -> list[list[str]]:
    rows: list[list[str]] = []
    at = 0
    while at < len(start) and len(rows) <= LOOKED_AT:
        row: Row | None = parse_row(start, at, dialect, 0, True)
        assert row is not None
        if row.problem and not rows:
            return []
        if not row.problem and row.fields != [b""]:
            rows.append([field.decode("utf-8", "replace") for field in row.fields])
        at += row.size
    return rows


def _guess(line: str, quote: str) -> str:
    """The delimiter of which the line has most outside quotes."""
    bare = re.sub(f"{re.escape(quote)}.*?{re.escape(quote)}", "", line) if quote else line
    counts = {one: bare.count(one) for one in DELIMITERS}
    for one in DELIMITERS[:-1]:
        if counts[one]:
            counts[" "] = 0  # between words of a name
    best = max(DELIMITERS, key=counts.__getitem__)
    return best if counts[best] else ","


def _is_header(cells: Sequence[str], columns: Mapping[str, str | int | None]) -> bool:
    """Whether a first row is names: a usual or declared one, or nothing like data."""
    if any(name in cells for name in columns.values() if isinstance(name, str) and name):
        return True
    if any(isinstance(place, int) for place in columns.values()):
        return False
    if any(usual_role(_untyped(cell)) for cell in cells):
        return True
    return not any(_like_number(cell) or _like_time(cell) or not cell for cell in cells)


def _typed(cell: str) -> bool:
    """Whether a name has a type, as in RecBole's atomic files."""
    return cell.partition(":")[2] in ("token", "float", "token_seq", "float_seq")


def _untyped(cell: str) -> str:
    return cell.partition(":")[0] if _typed(cell) else cell


def _like_number(cell: str) -> bool:
    return re.fullmatch(r"\s*[-+]?\d+(\.\d*)?([eE][-+]?\d+)?\s*", cell) is not None


def _like_time(cell: str) -> bool:
    cell = cell.strip()
    if re.fullmatch(r"\d{9,19}(\.\d+)?", cell):
        return float(cell) > 1e8
    return re.match(r"\d{4}-\d{2}-\d{2}", cell) is not None
