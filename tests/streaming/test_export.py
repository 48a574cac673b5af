"""Feedback becomes a dataset, on which an experiment runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.csv
import pyarrow.parquet
import pytest

import recexp
from recexp.__main__ import main
from recexp.data.dataset import Dataset
from recexp.errors import ConfigError, DataError, StorageError
from recexp.streaming.events import Event
from recexp.streaming.export import export_events
from recexp.streaming.store import Arrival, EventStore


def store_of(folder: Path, events: Sequence[Event]) -> EventStore:
    store = EventStore(f"sqlite:///{folder / 'events.db'}")
    with store.writing():
        store.append([[Arrival(event)] for event in events])
    return store


def rows(path: Path) -> list[tuple[Any, ...]]:
    csv = path.suffix == ".csv"
    table = pyarrow.csv.read_csv(path) if csv else pyarrow.parquet.read_table(path)
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


RATED = [
    Event("1", 7, 70, "rating", 4.5, 1_000),
    Event("2", 7, 71, "view", None, 1_001),
    Event("3", 8, 70, "like", None, 1_002),
    Event("4", 8, 72, "dismiss", None, 1_003),
    Event("5", 7, 70, "rating", 2.0, 1_004),
]


@pytest.mark.parametrize("name", ["out.csv", "out.parquet"])
def test_ratings_are_rows_and_the_rest_is_counted(tmp_path: Path, name: str) -> None:
    done = export_events(store_of(tmp_path, RATED), tmp_path / name)
    assert rows(tmp_path / name) == [(7, 70, 4.5, 1_000, "rating"), (7, 70, 2.0, 1_004, "rating")]
    assert done.rows == {"rating": 2}
    assert done.left_out == {"view": 1, "like": 1, "dismiss": 1}


def test_with_training_a_like_is_the_best_rating(tmp_path: Path) -> None:
    train = Dataset.from_columns(
        "t", np.array([1, 2]), np.array([70, 70]), [3.0, 5.0], np.array([10, 20]), scale=(1.0, 5.0)
    )
    path = tmp_path / "out.parquet"
    done = export_events(store_of(tmp_path, RATED), path, train=train)
    assert rows(path) == [
        (1, 70, 3.0, 10, "training"),
        (2, 70, 5.0, 20, "training"),
        (7, 70, 4.5, 1_000, "rating"),
        (8, 70, 5.0, 1_002, "like"),
        (7, 70, 2.0, 1_004, "rating"),
    ]
    assert done.rows == {"training": 2, "rating": 2, "like": 1}


def test_without_ratings_views_and_likes_are_rows(tmp_path: Path) -> None:
    odd = 'a,"b"\n'
    events = [Event("1", odd, "007", "view", None, 1), Event("2", "b", "7", "like", None, 2)]
    path = tmp_path / "out.parquet"
    export_events(store_of(tmp_path, [*events, Event("3", "c", "7", "dismiss", None, 3)]), path)
    assert rows(path) == [(odd, "007", 1, "view"), ("b", "7", 2, "like")]
    assert pyarrow.parquet.read_schema(path).names == ["user", "item", "timestamp", "kind"]


def test_kinds_can_be_chosen(tmp_path: Path) -> None:
    path = tmp_path / "out.parquet"
    done = export_events(store_of(tmp_path, RATED), path, kinds=["view", "dismiss"])
    assert rows(path) == [(7, 71, None, 1_001, "view"), (8, 72, None, 1_003, "dismiss")]
    assert done.left_out == {"rating": 2, "like": 1}


def test_what_comes_meanwhile_is_left_to_the_next_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_of(tmp_path, RATED[:1])
    read = EventStore.read

    def read_while_another_comes(self: EventStore, after: int = 0) -> Any:
        yield from list(read(self, after))
        store_of(tmp_path, RATED[4:])

    monkeypatch.setattr(EventStore, "read", read_while_another_comes)
    done = export_events(store, tmp_path / "out.parquet")
    assert done.rows == {"rating": 1}
    assert rows(tmp_path / "out.parquet") == [(7, 70, 4.5, 1_000, "rating")]


def test_what_cannot_be_exported_is_told(tmp_path: Path) -> None:
    store = store_of(tmp_path, RATED)
    with pytest.raises(ConfigError, match=r"expected a name in \.csv or \.parquet"):
        export_events(store, tmp_path / "out.txt")
    with pytest.raises(StorageError, match="cannot be written"):
        export_events(store, tmp_path / "nowhere" / "out.csv")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no events yet"):
        export_events(store_of(tmp_path / "empty", []), tmp_path / "out.csv")
    (tmp_path / "views").mkdir()
    with pytest.raises(DataError, match="no events of the kinds like"):
        export_events(store_of(tmp_path / "views", RATED[:2]), tmp_path / "o.csv", kinds=["like"])
    (tmp_path / "mixed").mkdir()
    mixed = [RATED[0], Event("9", "eight", 70, "rating", 1.0, 5)]
    with pytest.raises(DataError, match="ids of several types"):
        export_events(store_of(tmp_path / "mixed", mixed), tmp_path / "out.csv")
    assert not list(tmp_path.glob("*out*"))


def test_an_experiment_runs_on_what_was_exported(
    tmp_path: Path, recorded: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", recorded.uri)
    monkeypatch.chdir(tmp_path)
    run = recorded.ids["small/als"]
    train = recexp.load(run).train
    last = int(train.interactions.timestamp.max())
    some = np.random.default_rng(0)
    users, items = some.choice(train.users.ids, 400), some.choice(train.items.ids, 400)
    events = [
        Event(str(n), user, item, "like", None, last + n)
        for n, (user, item) in enumerate(zip(users.tolist(), items.tolist(), strict=True))
    ]
    store_of(tmp_path, events)
    arguments = ["events.db", "--output", "more.csv", "--with-training", run, "--quiet"]
    assert main(["data", "export-events", *arguments]) == 0
    n_rows = len(train.interactions) + 400
    assert capsys.readouterr().out.startswith(f"{n_rows:,} rows in more.csv")
    done = recexp.run(
        "algo=popularity", "dataset=csv", "dataset.path=more.csv", "tracking=none", "plots=false"
    )
    assert 0 <= done.metrics["ndcg_at_10"] <= 1
    assert main(["data", "export-events", "no.db", "--output", "more.csv"]) == 2
    assert "there is no such file" in capsys.readouterr().err
    assert main(["data", "export-events", "events.db", "--output", "a.csv", "--kinds", "liek"]) == 2
    assert "did you mean 'like'" in capsys.readouterr().err
