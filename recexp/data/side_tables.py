"""Tables of items and users: what a source says of them, as text by column."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from recexp.data.dataset import Dataset
from recexp.data.roles import guess
from recexp.errors import ConfigError, DataError, did_you_mean

log = logging.getLogger(__name__)

Options = Mapping[str, Any]
"""`path` (or `table` or `query`) and, if need be, `id`, `columns` and how to read the source."""


@dataclass(frozen=True)
class SideTable:
    """Rows about items or users: an id and texts by column, as the source has them."""

    where: str
    ids: Sequence[str]
    columns: Mapping[str, Sequence[str]]
    id_column: str
    facts: Mapping[str, Any]


def check_options(options: Options | None, side: str, accepted: Sequence[str]) -> None:
    """Raise ConfigError for an option of `dataset.items` or `dataset.users` that there is not."""
    for name in options or ():
        if name not in accepted:
            raise ConfigError(
                f"no config key 'dataset.{side}.{name}'{did_you_mean(str(name), accepted)}"
            )


def choose_columns(
    header: Sequence[str], options: Options, side: str, where: str, ids_named: str
) -> tuple[str, dict[str, str]]:
    """Return the id column, and the column of the source by the name that it will have.

    Args:
        header: names of the columns.
        options: `id`, None for a guess; `columns`, a list of names, or names by new name; None
            for all.
        side: items or users.
        where: the table, for messages.
        ids_named: what the interactions call the id.
    """
    found = f"(found: {', '.join(header[:20])})"
    id_column = options.get("id")
    if id_column is None:
        id_column = ids_named if ids_named in header else guess(side[:-1], header)
        if id_column is None and "id" in header:
            id_column = "id"
        if id_column is None:
            raise DataError(f"{where} has no column for the id {found}; set dataset.{side}.id=NAME")
        log.info("%s: guessed id=%s", where, id_column)
    wanted = options.get("columns")
    if wanted is None:
        wanted = [name for name in header if name != id_column and name]
    chosen = dict(wanted) if isinstance(wanted, Mapping) else {str(one): str(one) for one in wanted}
    for name in (id_column, *chosen.values()):
        if header.count(name) != 1:
            raise DataError(
                f"{where} has {'no' if name not in header else 'more than one'} column {name!r} "
                f"{found}; set dataset.{side}"
            )
    return id_column, chosen


def attach(dataset: Dataset, side: str, table: SideTable) -> Dataset:
    """Return the dataset with the columns of `table` as its user_columns or item_columns.

    The first row of an id counts. What does not fit is counted in the facts, under tables.SIDE:
    rows, matched, unmatched_rows, repeated_ids, ids_without_row.
    """
    ids = dataset.items.ids if side == "items" else dataset.users.ids
    index = {str(id_): idx for idx, id_ in enumerate(ids)}
    row_of = np.full(len(ids), -1, np.int64)
    unmatched = repeated = 0
    for row, id_ in enumerate(table.ids):
        idx = index.get(id_)
        if idx is None:
            unmatched += 1
        elif row_of[idx] >= 0:
            repeated += 1
        else:
            row_of[idx] = row
    rows = row_of.tolist()
    columns = {
        name: tuple(texts[row] if row >= 0 else "" for row in rows)
        for name, texts in table.columns.items()
    }
    without = int(np.count_nonzero(row_of < 0))
    counts = {
        "rows": len(table.ids),
        "matched": len(rows) - without,
        "unmatched_rows": unmatched,
        "repeated_ids": repeated,
        "ids_without_row": without,
    }
    if without == len(rows):
        raise DataError(
            f"{table.where}: no {table.id_column!r} is one of the {side} of {dataset.name} (such "
            f"as {next(iter(table.ids), '')!r} against {next(iter(index))!r}); "
            f"set dataset.{side}.id"
        )
    if without or repeated:
        log.warning(
            "%s: %s of %s %s have no row, %s rows repeat an id",
            *(table.where, f"{without:,}", f"{len(rows):,}", side, f"{repeated:,}"),
        )
    about = {**table.facts, **counts, "id": table.id_column, "columns": list(columns)}
    tables = {**dataset.facts.get("tables", {}), side: about}
    facts = {**dataset.facts, "tables": tables}
    if side == "items":
        return replace(dataset, item_columns={**dataset.item_columns, **columns}, facts=facts)
    return replace(dataset, user_columns={**dataset.user_columns, **columns}, facts=facts)
