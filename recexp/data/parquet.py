"""People's own data: interactions in Parquet files, with tables of items and users."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from recexp.arrays import AnyArray
from recexp.data.cleaning import Choices, Table, to_dataset
from recexp.data.dataset import Dataset
from recexp.data.readers import rejected_path
from recexp.data.rejected import OnBadRows, Rejected
from recexp.data.roles import check_declared, find_roles
from recexp.data.side_tables import SideTable, attach, check_options, choose_columns
from recexp.data.snapshot import Snapshot, through_snapshot
from recexp.data.text import TextFile, content_hash, sources
from recexp.data.typed import arrow_ids, arrow_moments, arrow_ratings, id_text
from recexp.errors import DataError

SUFFIXES = (".parquet", ".pq")
SIDE_OPTIONS = ("path", "id", "columns")


def load_parquet(
    path: str | Sequence[str],
    columns: Mapping[str, str | int | None] | None = None,
    scale: Sequence[float] | None = None,
    items: Mapping[str, Any] | None = None,
    users: Mapping[str, Any] | None = None,
    on_bad_rows: OnBadRows = "report",
    rejected: str | None = None,
    snapshot: Snapshot = "auto",
    name: str | None = None,
) -> Dataset:
    """Return the interactions in one or several Parquet files with the same columns.

    Ids are whole numbers or text, ratings numbers or text; timestamps of Arrow's types, numbers,
    or text. Arguments, facts and errors are those of `readers.load_csv`; the tables of items and
    users are Parquet too.
    """
    check_declared(columns or {})
    sides = {"items": items, "users": users}
    for side, options in sides.items():
        check_options(options, side, SIDE_OPTIONS)
    files = [TextFile.open(file) for file in sources(path, SUFFIXES)]
    folder = isinstance(path, str) and Path(path).expanduser().is_dir()
    first = files[0].path
    name = name or (Path(str(path)).expanduser().resolve().name if folder else first.stem)
    tables = {side: _SideFile(side, options) for side, options in sides.items() if options}
    identity = {
        "reader": "parquet",
        "files": [str(file.path.absolute()) for file in files],
        "options": [columns, scale, on_bad_rows, rejected],
        "tables": {side: table.identity for side, table in tables.items()},
    }

    listed = Path(rejected) if rejected else rejected_path(name, identity)
    choices = Choices(name, scale, on_bad_rows, listed)
    choices.check()

    def read() -> Dataset:
        dataset = _read(files, columns, choices, {"path": path})
        names = dataset.facts["columns"]
        for side, table in tables.items():
            dataset = attach(dataset, side, table.read(names[side[:-1]]))
        return dataset

    return through_snapshot(name, identity, lambda: content_hash(files), snapshot, read)


def _read(
    files: Sequence[TextFile],
    columns: Mapping[str, str | int | None] | None,
    choices: Choices,
    facts: Mapping[str, Any],
) -> Dataset:
    where = files[0].path.name if len(files) == 1 else f"{files[0].path.name} and others"
    header = _names(files)
    roles = find_roles(header, columns, where)
    whole = _columns(files, list(dict.fromkeys(roles.names.values())))
    ids, repairs = {}, {}
    for role in ("user", "item"):
        named = roles.names[role]
        ids[role], n_float = arrow_ids(whole.column(named), named, where)
        if n_float:
            repairs[f"{role} ids read from floats"] = n_float
    ratings = moments = None
    if "rating" in roles.names:
        named = roles.names["rating"]
        ratings = arrow_ratings(whole.column(named), named, where)
    if "timestamp" in roles.names:
        named = roles.names["timestamp"]
        moments = arrow_moments(whole.column(named), named, where)
    n_rows = [_n_rows(file) for file in files]
    starts = np.concatenate([[0], np.cumsum(n_rows)])

    def place(rows: AnyArray) -> list[tuple[int, int]]:
        numbers = np.searchsorted(starts, rows, side="right") - 1
        within = rows - starts[numbers] + 1
        return list(zip(numbers.tolist(), within.tolist(), strict=True))

    table = Table(where, roles.names, ids["user"], ids["item"], ratings, moments)
    names = [file.path.name for file in files]
    bad = Rejected(where, len(ids["user"]), names, [], place, table.text, {})
    about = {
        "source": "local files",
        **facts,
        "files": [
            {"file": file.path.name, "bytes": file.state.size, "rows": n}
            for file, n in zip(files, n_rows, strict=True)
        ],
        "format": {"types": {n: str(whole.schema.field(n).type) for n in roles.names.values()}},
        "columns": dict(roles.names),
        "columns_guessed": list(roles.guessed),
        "repairs": repairs,
    }
    return to_dataset(table, bad, choices, about)


@contextmanager
def _opened(file: TextFile) -> Iterator[Any]:
    """The file as `pyarrow.parquet.ParquetFile`, what goes wrong in DataError."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file.path) as opened:
            yield opened
    except (pa.ArrowException, OSError) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"{file.path} is not a Parquet file that can be read ({reason})") from error
    file.check_unchanged()


def _names(files: Sequence[TextFile]) -> list[str]:
    """The columns, which are the same in all files."""
    first: list[str] = []
    for file in files:
        with _opened(file) as opened:
            names = list(opened.schema_arrow.names)
        first = first or names
        if names != first:
            raise DataError(
                f"{file.path} has the columns {', '.join(names[:20])}; {files[0].path.name} "
                f"has {', '.join(first[:20])}: expected the same in all files"
            )
    return first


def _n_rows(file: TextFile) -> int:
    with _opened(file) as opened:
        return int(opened.metadata.num_rows)


def _columns(files: Sequence[TextFile], names: Sequence[str]) -> Any:
    """Some columns of all files as one Arrow table; DataError when their types differ."""
    import pyarrow as pa

    parts = []
    for file in files:
        with _opened(file) as opened:
            parts.append(opened.read(columns=names))
    try:
        whole = pa.concat_tables(parts, promote_options="permissive")
    except pa.ArrowException as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"{files[0].path.name} and others differ in types ({reason})") from error
    if whole.num_rows == 0:
        raise DataError(f"{files[0].path} has no rows; expected at least one interaction")
    return whole


class _SideFile:
    """A table of items or users in Parquet."""

    def __init__(self, side: str, options: Mapping[str, Any]) -> None:
        if not options.get("path"):
            raise DataError(f"dataset.{side} has no path; set dataset.{side}.path to a file")
        self.side, self.options = side, options
        self.files = [TextFile.open(file) for file in sources(options["path"], SUFFIXES)]
        self.identity = {**options, "content": content_hash(self.files)}

    def read(self, ids_named: str) -> SideTable:
        """Return the table; `ids_named` is what the interactions call the id."""
        where = self.files[0].path.name
        header = _names(self.files)
        id_column, chosen = choose_columns(header, self.options, self.side, where, ids_named)
        whole = _columns(self.files, list(dict.fromkeys([id_column, *chosen.values()])))
        texts = {
            name: [shown(value) for value in whole.column(name).to_pylist()]
            for name in {id_column, *chosen.values()}
        }
        facts = {"path": self.options["path"], "sha256": self.identity["content"]}
        columns = {new: texts[source] for new, source in chosen.items()}
        return SideTable(where, texts[id_column], columns, id_column, facts)


def shown(value: Any) -> str:
    """Return a value of a column as text; lists joined by bars, nothing for NULL.

    >>> shown(["Drama", "War"]), shown(1994.0), shown(None)
    ('Drama|War', '1994', '')
    """
    if isinstance(value, list | tuple | set):
        return "|".join(shown(one) for one in value)
    return (id_text(value) or b"").decode("utf-8", "replace")
