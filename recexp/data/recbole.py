"""RecBole's atomic files: tables between tabs whose header names types (`user_id:token`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recexp.data.dataset import Dataset
from recexp.data.readers import load_csv
from recexp.data.rejected import OnBadRows
from recexp.data.snapshot import Snapshot
from recexp.errors import DataError


def load_recbole(
    path: str,
    columns: Mapping[str, str | int | None] | None = None,
    scale: Sequence[float] | None = None,
    on_bad_rows: OnBadRows = "report",
    rejected: str | None = None,
    snapshot: Snapshot = "auto",
    name: str | None = None,
) -> Dataset:
    """Return the interactions of a folder with NAME.inter, and what NAME.item and NAME.user say.

    `path` is the folder or the `.inter` file. Lists of tokens stay texts with spaces. Arguments,
    facts and errors are those of `readers.load_csv`.
    """
    place = Path(path).expanduser()
    if place.is_dir():
        found = sorted(place.glob("*.inter"))
        if len(found) != 1:
            raise DataError(
                f"{place} has {len(found)} files *.inter; set dataset.path to one such file"
            )
        place = found[0]
    sides = {side: _side(place.with_suffix(f".{side[:-1]}")) for side in ("items", "users")}
    return load_csv(
        str(place),
        columns,
        scale,
        delimiter="\t",
        header=True,
        quote="",
        items=sides["items"],
        users=sides["users"],
        on_bad_rows=on_bad_rows,
        rejected=rejected,
        snapshot=snapshot,
        name=name or place.stem,
    )


def _side(file: Path) -> dict[str, Any] | None:
    options = {"path": str(file), "delimiter": "\t", "header": True, "quote": ""}
    return options if file.is_file() else None
