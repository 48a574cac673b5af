"""People's own data: interactions in a text file."""

from __future__ import annotations

import csv
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recexp.data.dataset import Dataset
from recexp.data.files import file_hash
from recexp.data.roles import Roles, find_roles
from recexp.data.table import Table, to_dataset
from recexp.errors import ConfigError, DataError

log = logging.getLogger(__name__)

DELIMITERS = ",;\t|"
HEADER_BYTES = 1 << 16
LINE_ENDS = "\r\n|\r|\n"


def load_csv(
    path: str,
    columns: Mapping[str, str | None] | None = None,
    scale: Sequence[float] | None = None,
    delimiter: str | None = None,
    name: str | None = None,
    encoding: str = "utf-8",
) -> Dataset:
    """Return the interactions in a delimited text file with a header line.

    Args:
        path: the file; `.gz` and the like are unpacked.
        columns: name by role: user, item, rating, timestamp. None: guessed from the usual names;
            '': there is none. Without ratings every row is an interaction of value 1.
        scale: [lowest, highest] rating; by default what is observed. Ratings that are all the
            same say nothing, and make the data implicit.
        delimiter: one character; by default the one of , ; tab | that the header has most of.
        name: of the dataset; by default the file's.
        encoding: of the text.

    Ids are whole numbers when all of a column are, written plainly; otherwise text, as it stands.
    Timestamps are seconds, milliseconds or finer since 1970, or ISO 8601.

    A row that cannot be used (a missing id, a rating or timestamp that is none, a rating off the
    scale, another number of fields than the header) is dropped; the facts count these by reason
    and a warning is logged. When that would be most rows, the column is refused instead.

    Raises DataError for a file or column that is missing or unusable.
    """
    file = Path(path).expanduser()
    header, delimiter = _header(file, delimiter, encoding)
    roles = find_roles(header, columns, file.name)
    texts, n_ragged = _read(file, len(header), roles, delimiter, encoding)
    n_rows = n_ragged + len(texts["user"])
    if n_rows == 0:
        raise DataError(f"{file} has a header but no rows; expected at least one interaction")
    if n_ragged > n_rows / 2:
        raise DataError(
            f"{file}: {n_ragged:,} of {n_rows:,} rows do not have the {len(header)} fields of the "
            f"header; if {delimiter!r} does not separate them, set dataset.delimiter"
        )
    table = Table(file.name, texts, roles.names, {f"not {len(header)} fields": n_ragged})
    facts = {
        "source": "local file",
        "path": path,
        "sha256": file_hash(file),
        "delimiter": delimiter,
        "columns": dict(roles.names),
        "columns_guessed": list(roles.guessed),
    }
    return to_dataset(table, name or file.name.partition(".")[0], scale, facts)


def _header(file: Path, delimiter: str | None, encoding: str) -> tuple[list[str], str]:
    """Return the names in the first line, and the delimiter."""
    import pyarrow as pa

    if not file.exists():
        raise DataError(f"{file.absolute()} does not exist; set dataset.path to a file")
    if file.is_dir():
        raise DataError(f"{file} is a folder; set dataset.path to a file")
    if delimiter is not None and len(delimiter) != 1:
        raise ConfigError(f"dataset.delimiter={delimiter!r}: expected one character")
    try:
        with pa.input_stream(str(file)) as stream:
            start = stream.read(HEADER_BYTES)
        text, *rest = re.split(
            LINE_ENDS, start.decode(encoding, "ignore").removeprefix("\ufeff"), maxsplit=1
        )
    except OSError as error:
        raise DataError(f"{file} cannot be read ({_reason(error)})") from error
    except LookupError:
        raise ConfigError(f"dataset.encoding={encoding}: Python knows no such encoding") from None
    if not start:
        raise DataError(f"{file} is empty; expected a header line and rows")
    if not text.strip():
        raise DataError(f"{file} begins with an empty line; expected the names of the columns")
    if not any(rest) and len(start) < HEADER_BYTES:
        raise DataError(f"{file} has a header but no rows; expected at least one interaction")
    delimiter = delimiter or max(DELIMITERS, key=text.count)
    return [cell.strip() for cell in next(csv.reader([text], delimiter=delimiter))], delimiter


def _read(
    file: Path, n_fields: int, roles: Roles, delimiter: str, encoding: str
) -> tuple[dict[str, Any], int]:
    """Return the columns of the roles as strings, and the number of rows left out as ragged."""
    import pyarrow as pa
    from pyarrow import csv as arrow

    n_ragged = 0

    def skip(row: Any) -> str:
        nonlocal n_ragged
        n_ragged += 1
        return "skip"

    wanted = [str(position) for position in roles.positions.values()]
    try:
        table = arrow.read_csv(
            file,
            read_options=arrow.ReadOptions(
                # By position: a name may occur twice among the columns that nobody asked for.
                column_names=[str(position) for position in range(n_fields)],
                skip_rows=1,
                block_size=8 << 20,
                # Plain UTF-8 would go unchecked to the handler of ragged rows, and fail there.
                encoding="utf-8-sig" if encoding == "utf-8" else encoding,
            ),
            parse_options=arrow.ParseOptions(
                delimiter=delimiter, newlines_in_values=True, invalid_row_handler=skip
            ),
            convert_options=arrow.ConvertOptions(
                include_columns=wanted, column_types=dict.fromkeys(wanted, pa.string())
            ),
        )
    except (OSError, UnicodeError, pa.ArrowInvalid) as error:
        reason = _reason(error)
        if "UTF8" in reason or isinstance(error, UnicodeError):
            reason = f"not {encoding}: set dataset.encoding, for instance latin-1"
        raise DataError(f"{file} cannot be read ({reason})") from error
    return {role: table.column(str(at)) for role, at in roles.positions.items()}, n_ragged


def _reason(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error)
    return text.splitlines()[0] if text else type(error).__name__
