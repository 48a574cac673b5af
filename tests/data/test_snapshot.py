"""A dataset written and read back is the same."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recexp.data.cache import atomic_write
from recexp.data.dataset import Dataset
from recexp.data.snapshot import load_snapshot, save_snapshot, through_snapshot
from recexp.errors import DataError, StorageError


def test_everything_comes_back(synthetic: Dataset, tmp_path: Path) -> None:
    save_snapshot(synthetic, tmp_path / "in" / "x")
    back = load_snapshot(tmp_path / "in" / "x")
    assert back.fingerprint == synthetic.fingerprint
    assert (back.name, back.facts) == (synthetic.name, synthetic.facts)
    assert back.scale == synthetic.scale
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["x"]


@pytest.mark.parametrize(
    "ids", [[3, 1, 2], ["3", "1", "02"], ["日本", "a\x00b", ""], [2**63, 1, 2], [-(2**63), 0, 1]]
)
def test_ids_keep_their_type_and_order(ids: list[object], tmp_path: Path) -> None:
    from recexp.data.ids import IdMap

    plain = Dataset.from_columns("x", np.array(["a", "b", "c"]), np.array([1, 1, 1]))
    save_snapshot(replace(plain, users=IdMap(ids)), tmp_path / "x")
    back = load_snapshot(tmp_path / "x")
    assert list(back.users.ids) == ids
    assert back.interactions.timestamp is None
    assert (back.scale, back.item_features) == (None, None)


def test_any_damage_is_noticed(synthetic: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "x"
    save_snapshot(synthetic, path)
    files = sorted(path.iterdir())
    assert [file.stem for file in files if file.suffix == ".parquet"] == [
        *("interactions", "item_features", "items", "user_features", "users")
    ]
    for file in files:
        content = file.read_bytes()
        places = range(0, len(content), max(1, len(content) // 20))
        broken = [content[:-1], content[: len(content) // 2], b"", b"not a table"]
        broken += [content[:at] + bytes([content[at] ^ 255]) + content[at + 1 :] for at in places]
        for damaged in broken:
            file.write_bytes(damaged)
            with pytest.raises(DataError, match=r"is broken|has format"):
                load_snapshot(path)
        file.unlink()
        with pytest.raises(DataError, match="is broken"):
            load_snapshot(path)
        file.write_bytes(content)
    assert load_snapshot(path).fingerprint == synthetic.fingerprint


def test_a_folder_that_is_not_there_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_snapshot(tmp_path / "nowhere")


def test_writers_at_the_same_time_leave_one_whole_snapshot(
    synthetic: Dataset, tmp_path: Path
) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: save_snapshot(synthetic, tmp_path / "x"), range(16)))
    assert load_snapshot(tmp_path / "x").fingerprint == synthetic.fingerprint
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


class Source:
    """A source whose content can change, and that counts how often it is read."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset, self.content, self.n_read = dataset, "a" * 64, 0

    def load(self, mode: str = "auto") -> Dataset:
        return through_snapshot("data", {"who": "me"}, lambda: self.content, mode, self.read)

    def read(self) -> Dataset:
        self.n_read += 1
        return self.dataset


@pytest.fixture
def source(synthetic: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Source:
    monkeypatch.setenv("RECEXP_CACHE", str(tmp_path / "cache"))
    return Source(synthetic)


def test_a_source_is_read_once_and_again_when_it_changed(source: Source) -> None:
    first, second = source.load(), source.load()
    assert source.n_read == 1
    assert (first.facts["snapshot"]["state"], second.facts["snapshot"]["state"]) == (
        *("written", "reused"),
    )
    assert second.fingerprint == first.fingerprint
    assert second.facts["sha256"] == source.content
    source.content = "b" * 64
    assert source.load().facts["snapshot"]["state"] == "written"
    assert source.n_read == 2
    # what is stale is gone
    assert len(list(Path(first.facts["snapshot"]["path"]).parent.iterdir())) == 1


def test_a_broken_snapshot_is_made_again(source: Source, caplog: pytest.LogCaptureFixture) -> None:
    path = Path(source.load().facts["snapshot"]["path"])
    (path / "interactions.parquet").write_bytes(b"broken")
    assert source.load().facts["snapshot"]["state"] == "written"
    assert "it is made again" in caplog.text
    assert source.load().facts["snapshot"]["state"] == "reused"
    assert source.n_read == 2


def test_snapshots_can_be_off_or_impossible(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert source.load("off").facts["snapshot"]["state"] == "off"
    assert not (tmp_path / "cache").exists()
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("RECEXP_CACHE", str(tmp_path / "file"))
    assert source.load().facts["snapshot"]["state"].startswith("not kept: the cache folder")
    assert source.n_read == 2


def test_the_last_snapshot_needs_no_source(source: Source) -> None:
    source.load()
    source.content = "c" * 64
    assert source.load("last").facts["sha256"] == "a" * 64
    assert source.n_read == 1


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"old")

    def interrupted() -> None:
        with atomic_write(path) as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_bytes() == b"old"
    assert [one.name for one in tmp_path.iterdir()] == ["x"]


def test_a_folder_that_cannot_be_is_told(synthetic: Dataset, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match=r"cannot be written .*: set RECEXP_CACHE"):
        save_snapshot(synthetic, tmp_path / "file" / "x")
