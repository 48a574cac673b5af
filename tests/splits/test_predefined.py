"""Splits read from files, and splits saved and loaded."""

from __future__ import annotations

import json
import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from recexp.data.dataset import Dataset
from recexp.data.interactions import Interactions
from recexp.errors import ConfigError, DataError, StorageError
from recexp.rng import derive
from recexp.splits import files
from recexp.splits.base import Protocol
from recexp.splits.cold import cold_user
from recexp.splits.predefined import predefined, save
from recexp.splits.random import random
from recexp.splits.temporal import temporal

Row = tuple[Any, ...]
WHOLE: list[Row] = [
    ("007", "a", 5, 10),
    ("007", "b", 3, 20),
    ("7", "a", 4, 30),
    ("7", "c", 1, 40),
    ("é", "b", 2, 50),
]


def dataset(rows: list[Row] = WHOLE) -> Dataset:
    users, items, values, times = (np.array(column) for column in zip(*rows, strict=True))
    return Dataset.from_columns(
        "made", users, items, values.astype(np.float32), times, scale=(1.0, 5.0)
    )


def rows_of(side: Interactions | None, data: Dataset) -> list[Row]:
    assert side is not None
    assert side.timestamp is not None
    users, items = data.users.to_ids(side.user_idx), data.items.to_ids(side.item_idx)
    return sorted(zip(users, items, side.value.tolist(), side.timestamp.tolist(), strict=True))


def write(path: Path, rows: list[Row], header: str = "", delimiter: str = ",") -> str:
    lines = [header] if header else []
    lines += [delimiter.join(map(str, row)) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def published(name: str) -> list[Row]:
    path = Path(os.environ["RECEXP_DATA_DIR"]) / "ml-100k" / name
    rows = (line.split("\t") for line in path.read_text().splitlines())
    return sorted((int(u), int(i), float(v), int(t)) for u, i, v, t in rows)


@pytest.mark.movielens
@pytest.mark.skipif("RECEXP_DATA_DIR" not in os.environ, reason="needs the published folds")
@pytest.mark.parametrize("name", ["u1", "u2", "u3", "u4", "u5", "ua", "ub"])
def test_the_published_movielens_splits(name: str, movielens: Dataset) -> None:
    folder = Path(os.environ["RECEXP_DATA_DIR"]) / "ml-100k"
    split = predefined(
        movielens,
        derive(1),
        train=str(folder / f"{name}.base"),
        test=str(folder / f"{name}.test"),
    )
    assert rows_of(split.train.interactions, movielens) == published(f"{name}.base")
    assert rows_of(split.test, movielens) == published(f"{name}.test")
    assert (len(split.test), split.facts["n_dropped"]) == (20_000 if name[1] < "a" else 9_430, 0)


@pytest.mark.parametrize(
    ("header", "delimiter"),
    [
        ("", ","),
        ("", "\t"),
        ("user,item,rating,timestamp", ","),
        ("userId,movieId,rating,timestamp", ","),
        ("user_id:token\titem_id:token\trating:float\ttimestamp:float", "\t"),
        ("\ufeffuser;item;rating;time", ";"),
    ],
)
def test_files_of_two_sides(header: str, delimiter: str, tmp_path: Path) -> None:
    data = dataset()
    split = predefined(
        data,
        derive(1),
        train=write(tmp_path / "train.txt", WHOLE[3:0:-1], header, delimiter),
        test=write(tmp_path / "test.txt", WHOLE[4:], header, delimiter),
    )
    assert rows_of(split.train.interactions, data) == sorted(WHOLE[1:4])
    assert rows_of(split.test, data) == WHOLE[4:]
    assert split.facts["n_dropped"] == 1


def test_columns_may_come_in_any_order(tmp_path: Path) -> None:
    test = write(tmp_path / "test.csv", [("x", "c", "7")], "note,item,user")
    split = predefined(dataset(), derive(1), test=test)
    assert rows_of(split.test, dataset()) == [("7", "c", 1.0, 40)]
    assert len(split.train.interactions) == 4


def test_lists_of_items_a_user(tmp_path: Path) -> None:
    data = dataset()
    (tmp_path / "train.txt").write_text("007 a b\n7 a\n", encoding="utf-8")
    (tmp_path / "test.txt").write_text("7 c\né b\n\n", encoding="utf-8")
    split = predefined(
        data, derive(1), train=str(tmp_path / "train.txt"), test=str(tmp_path / "test.txt")
    )
    assert rows_of(split.test, data) == WHOLE[3:]
    assert rows_of(split.train.interactions, data) == WHOLE[:3]


def test_a_fold_column(tmp_path: Path) -> None:
    data = dataset()
    rows = [(*row[:2], fold) for row, fold in zip(WHOLE, [0, 1, 2, 1, 0], strict=True)]
    path = write(tmp_path / "folds.csv", rows, "user,item,part")
    split = predefined(data, derive(1), path=path, column="part", fold=1)
    assert rows_of(split.test, data) == [WHOLE[1], WHOLE[3]]
    assert len(split.train.interactions) == 3
    with pytest.raises(ConfigError, match=r"split.fold=7: .* has in 'part' only 0, 1, 2"):
        predefined(data, derive(1), path=path, column="part", fold=7)
    with pytest.raises(DataError, match=r"no column 'fold' \(found: user, item, part\)"):
        predefined(data, derive(1), path=path)


def test_parquet_with_integer_ids(tmp_path: Path) -> None:
    data = dataset([(1, 10, 5, 1), (1, 11, 4, 2), (2, 10, 3, 3)])
    table = pa.table({"user_id": [1, 2], "item_id": [11, 10], "fold": ["train", "test"]})
    parquet.write_table(table, tmp_path / "folds.parquet")
    split = predefined(data, derive(1), path=str(tmp_path / "folds.parquet"))
    assert rows_of(split.test, data) == [(2, 10, 3.0, 3)]
    assert rows_of(split.train.interactions, data) == [(1, 11, 4.0, 2)]


def test_rows_that_are_not_in_the_data_are_counted(tmp_path: Path) -> None:
    rows = [("7", "a"), ("8", "a"), ("9", "zz"), ("é", "a"), ("7", "a")]
    test = write(tmp_path / "test.csv", rows, "user,item")
    with pytest.raises(DataError) as caught:
        predefined(dataset(), derive(1), test=test)
    assert (
        "4 of 5 rows are not among the 5 interactions of made or stand there less often "
        "(2 of unknown users, 1 of unknown items)"
    ) in str(caught.value)


def test_an_interaction_cannot_be_on_both_sides(tmp_path: Path) -> None:
    train = write(tmp_path / "train.csv", WHOLE)
    test = write(tmp_path / "test.csv", WHOLE[:2])
    with pytest.raises(DataError, match="2 of 7 rows are not among"):
        predefined(dataset(), derive(1), train=train, test=test)


def test_repeated_pairs_are_told_apart_by_time(tmp_path: Path) -> None:
    whole = [("u", "a", 1, 10), ("u", "a", 2, 20), ("u", "a", 3, 30), ("u", "b", 4, 5)]
    data = dataset(whole)
    test = write(tmp_path / "test.csv", [whole[1]])
    split = predefined(data, derive(1), test=test)
    assert rows_of(split.test, data) == [whole[1]]
    late = write(tmp_path / "late.csv", [("u", "a", 2, 21), ("u", "a", 2, 2**40)])
    with pytest.raises(DataError, match="2 of 2 rows"):
        predefined(data, derive(1), test=late)


@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(1, 3), st.integers(0, 3)),
        min_size=4,
        max_size=40,
    ),
    st.integers(0, 9),
    st.sampled_from([1, 3, 1000]),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_any_split_of_repeated_pairs_is_found_again(
    tmp_path_factory: pytest.TempPathFactory, whole: list[Row], seed: int, block: int
) -> None:
    data = dataset(whole)
    order = np.random.default_rng(seed).permutation(len(whole))
    sides = [whole[i] for i in order[::2]], [whole[i] for i in order[1::2]]
    folder = tmp_path_factory.mktemp("sides")
    train, test = (write(folder / str(n), list(side)) for n, side in enumerate(sides))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "_BLOCK", block * 100)
        split = predefined(data, derive(1), train=train, test=test)
    assert rows_of(split.train.interactions, data) == sorted(sides[0])
    assert rows_of(split.test, data) == sorted(sides[1])


def test_a_short_match_block_finds_the_same(
    monkeypatch: pytest.MonkeyPatch, synthetic: Dataset, tmp_path: Path
) -> None:
    split = random(synthetic, derive(1))
    folder = save(split, tmp_path / "split")
    monkeypatch.setattr(files, "_BLOCK", 50)
    found = predefined(synthetic, derive(1), path=str(folder))
    assert found.fingerprint == split.fingerprint


@pytest.mark.parametrize(
    "protocol",
    [random, partial(temporal, target="first"), partial(cold_user, n_history=3)],
    ids=["random", "with dropped rows", "with history"],
)
def test_a_saved_split_comes_back(protocol: Protocol, synthetic: Dataset, tmp_path: Path) -> None:
    split = protocol(synthetic, derive(3))
    folder = save(split, tmp_path / "deep" / "split")
    loaded = predefined(synthetic, derive(9), path=str(folder))
    assert loaded.fingerprint == split.fingerprint
    assert loaded.facts["saved"] == split.facts
    assert loaded.facts["n_dropped"] == split.facts["n_dropped"]


def test_saving_again_leaves_nothing_of_the_former(synthetic: Dataset, tmp_path: Path) -> None:
    save(cold_user(synthetic, derive(1), n_history=3), tmp_path)
    split = random(synthetic, derive(1))
    loaded = predefined(synthetic, derive(1), path=str(save(split, tmp_path)))
    assert loaded.history is None
    assert loaded.fingerprint == split.fingerprint


def test_saved_files_speak_ids(tmp_path: Path) -> None:
    data = dataset()
    folder = save(temporal(data, derive(1)), tmp_path)
    table = parquet.read_table(folder / "test.parquet").to_pydict()
    assert table == {"user_id": ["é"], "item_id": ["b"], "value": [2.0], "timestamp": [50]}


def test_data_without_time_can_be_saved(tmp_path: Path) -> None:
    data = Dataset.from_columns("made", np.arange(20) % 4, np.arange(20))
    split = random(data, derive(1))
    loaded = predefined(data, derive(1), path=str(save(split, tmp_path)))
    assert loaded.fingerprint == split.fingerprint


def test_a_saved_split_of_other_data_is_refused(tmp_path: Path) -> None:
    folder = save(random(dataset(), derive(1)), tmp_path)
    changed = dataset([*WHOLE[:4], ("é", "b", 1, 50)])
    with pytest.raises(DataError, match=r"the saved split has fingerprint .* load the data"):
        predefined(changed, derive(1), path=str(folder))


def test_a_broken_manifest_is_told(tmp_path: Path) -> None:
    folder = save(random(dataset(), derive(1)), tmp_path)
    for content in ("", "[]", "{}", json.dumps({"fingerprint": "x", "facts": 3})):
        (folder / "manifest.json").write_text(content)
        with pytest.raises(DataError, match="holds no saved split"):
            predefined(dataset(), derive(1), path=str(folder))


def test_files_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00\x01,\xff")
    (tmp_path / "ragged.csv").write_text("user,item\na,b\na,b,c\n")
    (tmp_path / "words.csv").write_text("user,item,rating\n7,a,good\n")
    (tmp_path / "inf.csv").write_text("user,item,timestamp\n7,a,inf\n")
    (tmp_path / "hole.csv").write_text("user,item,timestamp\n7,a,\n")
    (tmp_path / "header.csv").write_text("user,item,timestamp\n")
    (tmp_path / "names.csv").write_text("user,thing\n7,a\n")
    (tmp_path / "broken.parquet").write_text("not Parquet")
    (tmp_path / "list.txt").write_bytes(b"7 \xff\xff\n")
    expected = {
        "absent.csv": "is not a file",
        "empty.csv": "no rows",
        "binary.csv": "is not UTF-8 text",
        "ragged.csv": "is not a readable table",
        "words.csv": "is not a readable table",
        "inf.csv": "not finite numbers",
        "hole.csv": "'timestamp' is missing in some rows",
        "header.csv": "no rows|not a readable table",
        "names.csv": r"has no column 'item' \(found: user, thing\)",
        "broken.parquet": "is not a readable table",
        "list.txt": "is not UTF-8 text",
    }
    for name, message in expected.items():
        with pytest.raises(DataError, match=message) as caught:
            predefined(dataset(), derive(1), test=str(tmp_path / name))
        assert "\n" not in str(caught.value)
        assert name in str(caught.value)


def test_options_must_fit_together() -> None:
    for options in ({}, {"train": "a"}, {"path": "a", "test": "b"}):
        with pytest.raises(ConfigError, match=r"split=predefined needs split.test"):
            predefined(dataset(), derive(1), **options)


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"cannot write the split to .* choose another"):
        save(random(dataset(), derive(1)), tmp_path / "file")
