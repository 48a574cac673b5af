"""People's own data: interactions in files of delimited text, with tables of items and users."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recexp.data.cache import cache_folder
from recexp.data.cleaning import Choices, Table, to_dataset
from recexp.data.dataset import Dataset
from recexp.data.layout import Look, look, roles_by_place
from recexp.data.rejected import OnBadRows, Rejected
from recexp.data.roles import Roles, check_declared, find_roles
from recexp.data.scan import Scanned, mostly_bad, scan
from recexp.data.segments import Layout
from recexp.data.side_tables import SideTable, attach, check_options, choose_columns
from recexp.data.snapshot import Snapshot, file_stem, identity_key, through_snapshot
from recexp.data.text import TextFile, content_hash, sources
from recexp.errors import DataError

SUFFIXES = (".csv", ".tsv", ".txt", ".dat", ".data", ".inter", ".tab", ".psv")
"""Names of delimited text among the files of a folder."""
SIDE_OPTIONS = ("path", "id", "columns", "delimiter", "encoding", "header", "quote")
"""Keys of dataset.items and dataset.users."""


def load_csv(
    path: str | Sequence[str],
    columns: Mapping[str, str | int | None] | None = None,
    scale: Sequence[float] | None = None,
    delimiter: str | None = None,
    header: bool | None = None,
    encoding: str = "utf-8",
    quote: str = '"',
    items: Mapping[str, Any] | None = None,
    users: Mapping[str, Any] | None = None,
    on_bad_rows: OnBadRows = "report",
    rejected: str | None = None,
    snapshot: Snapshot = "auto",
    name: str | None = None,
) -> Dataset:
    """Return the interactions in one or several files of delimited text.

    Args:
        path: a file, a folder, a pattern such as `logs/*.csv.gz`, or a list of these; all files
            have the same columns. Compression (gzip, bz2, xz, zstd, zip) is told by content.
        columns: name, or number from 1, by role: user, item, rating, timestamp. None: guessed;
            '': there is none. Without ratings every row is an interaction of value 1.
        scale: [lowest, highest] rating; by default what is observed.
        delimiter: any text; by default the one of , ; tab | :: space that the first line has
            most of.
        header: whether the first line is names; None: guessed.
        encoding: of the text.
        quote: the character around fields, '' for none.
        items, users: tables of them: {path, id, columns, ...}; the columns become item_columns
            and user_columns. `id` None: guessed; `columns` a list, names by new name, or None
            for all; delimiter, encoding, header and quote as above.
        on_bad_rows: report (drop, warn, and list them in a file), drop, or fail.
        rejected: where bad rows are listed; by default a file in the cache.
        snapshot: auto (keep what was read, read it back while files and options are the same),
            or off.
        name: of the dataset; by default the file's.

    What becomes of ids, ratings and timestamps: see `cleaning.to_dataset`. What was guessed,
    counted and dropped is in the facts. Raises DataError for files or columns that are missing
    or unusable, ConfigError for options that are none.
    """
    check_declared(columns or {})
    sides = {"items": items, "users": users}
    for side, about in sides.items():
        check_options(about, side, SIDE_OPTIONS)
    files = [TextFile.open(file, encoding) for file in sources(path, SUFFIXES)]
    name = name or _name(path, files[0].path)
    options = [columns, scale, delimiter, header, encoding, quote, on_bad_rows, rejected]
    tables = {side: _SideFile(side, about) for side, about in sides.items() if about}
    identity = {
        "reader": "csv",
        "files": [str(file.path.absolute()) for file in files],
        "options": options,
        "tables": {side: table.identity for side, table in tables.items()},
    }

    listed = Path(rejected) if rejected else rejected_path(name, identity)
    choices = Choices(name, scale, on_bad_rows, listed)
    choices.check()

    def read() -> Dataset:
        seen = look(files[0], delimiter, quote, header, columns)
        dataset = _read(files, seen, columns, choices, {"path": path})
        names = dataset.facts["columns"]
        for side, table in tables.items():
            dataset = attach(dataset, side, table.read(names[side[:-1]]))
        return dataset

    return through_snapshot(name, identity, lambda: content_hash(files), snapshot, read)


def rejected_path(name: str, identity: Mapping[str, Any]) -> Path:
    """Return the file in the cache that lists the bad rows of a source."""
    return cache_folder() / "rejected" / f"{file_stem(name)}-{identity_key(identity)}.csv"


def _name(path: str | Sequence[str], first: Path) -> str:
    """The name of a file without what follows its first dot, or of a folder."""
    if isinstance(path, str) and Path(path).expanduser().is_dir():
        return Path(path).expanduser().resolve().name
    return first.name.partition(".")[0] or first.name


def _read(
    files: Sequence[TextFile],
    seen: Look,
    columns: Mapping[str, str | int | None] | None,
    choices: Choices,
    facts: Mapping[str, Any],
) -> Dataset:
    where = files[0].path.name if len(files) == 1 else f"{files[0].path.name} and others"
    guesses = None if seen.header else roles_by_place(seen.rows, len(seen.names))
    roles = find_roles(seen.names, columns, where, guesses)
    layout = Layout(seen.dialect, roles.positions, len(seen.names), seen.header)
    _check_alike(files, seen)
    scanned = scan(files, layout)
    _check_rows(files, scanned, layout)
    table = Table(
        where,
        roles.names,
        scanned.columns.pop("user"),
        scanned.columns.pop("item"),
        scanned.columns.pop("rating", None),
        scanned.moments,
        files[0].encoding,
    )
    bad = Rejected(
        where,
        scanned.n_rows,
        [file.path.name for file in files],
        scanned.bad,
        scanned.lines,
        table.text,
        dict(scanned.n_bad),
    )
    about = {
        "source": "local files",
        **facts,
        "files": [
            {"file": file.path.name, "bytes": file.state.size, "rows": n_rows}
            for file, n_rows in zip(files, scanned.rows_of, strict=True)
        ],
        "format": _format(files, seen),
        **_mapping(roles),
        "repairs": _repairs(files, scanned),
    }
    return to_dataset(table, bad, choices, about)


def _format(files: Sequence[TextFile], seen: Look) -> dict[str, Any]:
    return {
        "delimiter": seen.dialect.delimiter.decode(),
        "quote": seen.dialect.quote.decode(),
        "header": seen.header,
        "encoding": files[0].encoding,
        "compression": sorted({file.compression for file in files if file.compression}),
        "guessed": list(seen.guessed),
    }


def _mapping(roles: Roles) -> dict[str, Any]:
    return {"columns": dict(roles.names), "columns_guessed": list(roles.guessed)}


def _repairs(files: Sequence[TextFile], scanned: Scanned) -> dict[str, int]:
    counts = {
        "byte order marks removed": sum(file.marked for file in files),
        "blank lines skipped": scanned.blank,
        "rows over several lines joined": scanned.spanning,
    }
    return {what: n for what, n in counts.items() if n}


def _check_alike(files: Sequence[TextFile], seen: Look) -> None:
    """Raise DataError unless all files have the columns of the first."""
    for file in files[1:]:
        dialect = seen.dialect
        other = look(file, dialect.delimiter.decode(), dialect.quote.decode(), seen.header, {})
        if other.names != seen.names:
            raise DataError(
                f"{file.path} has the columns {', '.join(other.names[:20])}; {files[0].path.name} "
                f"has {', '.join(seen.names[:20])}: expected the same in all files"
            )


def _check_rows(files: Sequence[TextFile], scanned: Scanned, layout: Layout) -> None:
    n_bad = sum(scanned.n_bad.values())
    if n_bad > scanned.n_rows:
        raise mostly_bad(scanned, files[scanned.bad[0].file], layout)
    if scanned.n_rows == 0:
        raise DataError(f"{files[0].path} has no rows; expected at least one interaction")


class _SideFile:
    """A table of items or users in a file."""

    def __init__(self, side: str, options: Mapping[str, Any]) -> None:
        if not options.get("path"):
            raise DataError(f"dataset.{side} has no path; set dataset.{side}.path to a file")
        self.side, self.options = side, options
        encoding = options.get("encoding") or "utf-8"
        self.files = [TextFile.open(file, encoding) for file in sources(options["path"], SUFFIXES)]
        self.identity = {**options, "content": content_hash(self.files)}

    def read(self, ids_named: str) -> SideTable:
        """Return the table; `ids_named` is what the interactions call the id."""
        options, first = self.options, self.files[0]
        quote = options.get("quote", '"')
        seen = look(first, options.get("delimiter"), quote, options.get("header", True), {})
        where = first.path.name
        id_column, chosen = choose_columns(seen.names, options, self.side, where, ids_named)
        # Prefixed: a column may be called timestamp, and is text all the same.
        wanted = {f"={new}": seen.names.index(source) for new, source in chosen.items()}
        positions = {"=": seen.names.index(id_column), **wanted}
        _check_alike(self.files, seen)
        layout = Layout(seen.dialect, positions, len(seen.names), seen.header)
        scanned = scan(self.files, layout)
        _check_rows(self.files, scanned, layout)
        texts = {
            role: _texts(column.distinct, column.codes().tolist())
            for role, column in scanned.columns.items()
        }
        facts = {
            "path": options["path"],
            "sha256": self.identity["content"],
            "rows_dropped": dict(scanned.n_bad),
            "repairs": _repairs(self.files, scanned),
        }
        columns = {new: texts[f"={new}"] for new in chosen}
        return SideTable(where, texts["="], columns, id_column, facts)


def _texts(distinct: Sequence[bytes], codes: Sequence[int]) -> list[str]:
    decoded = [text.decode("utf-8", "replace") for text in distinct]
    return [decoded[code] for code in codes]
