"""Events as a dataset for the next experiment."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recexp.data.dataset import Dataset
from recexp.errors import ConfigError, DataError, StorageError
from recexp.streaming.events import KINDS, Event, Kind, Meaning
from recexp.streaming.store import EventStore

if TYPE_CHECKING:
    import pyarrow as pa

_BATCH = 50_000


@dataclass(frozen=True)
class Exported:
    """What was written: rows by kind (`training` too), and events left out by kind."""

    rows: dict[str, int]
    left_out: dict[str, int]
    ratings: bool


def export_events(
    store: EventStore,
    output: Path,
    *,
    train: Dataset | None = None,
    kinds: Sequence[Kind] | None = None,
) -> Exported:
    """Write the events of a store to a .csv or .parquet file, after those of `train`.

    The columns are user, item, rating (of data with ratings), timestamp and kind (`training` for
    the rows of `train`), in the order in which things happened to be known. `kinds` are those that
    become rows; None: those of which a model would learn. A like is the best rating of the scale
    of `train`; without `train` that is not known, and likes beside ratings are left out.

    Raises ConfigError for other files, DataError for a store without events to write, or with ids
    of several types, StorageError when one of both cannot be read or written.
    """
    if output.suffix.lower() not in (".csv", ".parquet"):
        raise ConfigError(f"--output {output}: expected a name in .csv or .parquet")
    counts: dict[str, int] = dict.fromkeys(KINDS, 0)
    first: Event | None = None
    last = 0
    for seq, event in store.read():
        counts[event.kind] += 1
        first, last = first or event, seq
    if first is None:
        raise DataError(f"{store.where} holds no events yet")
    explicit = train.explicit if train is not None else counts["rating"] > 0
    if kinds is None:
        valued: tuple[Kind, ...] = ("rating", "like") if train is not None else ("rating",)
        kinds = valued if explicit else ("view", "like")
    if not any(counts[kind] for kind in kinds):
        raise DataError(f"{store.where} holds no events of the kinds {', '.join(kinds)}")
    columns = _Columns(first, train, explicit)
    # A store in use grows: what is written is what was counted.
    events = (event for seq, event in store.read() if seq <= last and event.kind in kinds)
    _write(output, columns, events)
    rows = {kind: n for kind, n in counts.items() if n and kind in kinds}
    if train is not None:
        rows = {"training": len(train.interactions)} | rows
    left_out = {kind: n for kind, n in counts.items() if n and kind not in kinds}
    return Exported(rows, left_out, explicit)


class _Columns:
    """The columns of the file, and the rows of them."""

    def __init__(self, first: Event, train: Dataset | None, explicit: bool) -> None:
        import pyarrow as pa

        self._train = train
        whole = Meaning(None, isinstance(first.user, int), isinstance(first.item, int))
        self._meaning = whole if train is None else Meaning.of(train)
        user = pa.int64() if self._meaning.whole_users else pa.string()
        item = pa.int64() if self._meaning.whole_items else pa.string()
        rating = [("rating", pa.float32())] if explicit else []
        columns = [("user", user), ("item", item), *rating]
        self.schema = pa.schema([*columns, ("timestamp", pa.int64()), ("kind", pa.string())])

    def training(self) -> Iterator[pa.Table]:
        if self._train is None:
            return
        users, items, it = self._train.users, self._train.items, self._train.interactions
        for start in range(0, len(it), _BATCH):
            rows = slice(start, start + _BATCH)
            n = len(it.value[rows])
            yield self._table(
                users.to_ids(it.user_idx[rows].tolist()),
                items.to_ids(it.item_idx[rows].tolist()),
                it.value[rows].tolist(),
                [None] * n if it.timestamp is None else it.timestamp[rows].tolist(),
                ["training"] * n,
            )

    def of(self, events: Iterable[Event]) -> Iterator[pa.Table]:
        rest = iter(events)
        while some := list(islice(rest, _BATCH)):
            yield self._table(
                [one.user for one in some],
                [one.item for one in some],
                [self._rating(one) for one in some],
                [one.timestamp for one in some],
                [one.kind for one in some],
            )

    def _rating(self, event: Event) -> float | None:
        if event.kind == "rating":
            return event.value
        # Without a scale nobody knows what a like would have been among the ratings.
        return None if self._meaning.scale is None else self._meaning.value(event)

    def _table(
        self, users: list[Any], items: list[Any], ratings: list[Any], times: list[Any], kinds: Any
    ) -> pa.Table:
        import pyarrow as pa

        found = {"user": users, "item": items, "rating": ratings, "timestamp": times, "kind": kinds}
        try:
            return pa.table({name: found[name] for name in self.schema.names}, self.schema)
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise DataError(f"the events have ids of several types ({error})") from None


def _write(output: Path, columns: _Columns, events: Iterable[Event]) -> None:
    """Write the file, which appears whole or not at all."""
    import pyarrow.csv
    import pyarrow.parquet

    partial = output.with_name(f".{output.name}.partial")
    parquet = output.suffix.lower() == ".parquet"
    make = pyarrow.parquet.ParquetWriter if parquet else pyarrow.csv.CSVWriter
    try:
        with make(partial, columns.schema) as writer:
            for table in chain(columns.training(), columns.of(events)):
                writer.write_table(table)
        partial.replace(output)
    except OSError as error:
        reason = error.strerror or error
        raise StorageError(f"--output {output} cannot be written ({reason})") from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
