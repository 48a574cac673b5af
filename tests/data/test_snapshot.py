"""A dataset written and read back is the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recexp.data.cache import atomic_write
from recexp.data.dataset import Dataset
from recexp.data.snapshot import load_snapshot, save_snapshot
from recexp.errors import DataError, StorageError


def test_everything_comes_back(synthetic: Dataset, tmp_path: Path) -> None:
    save_snapshot(synthetic, tmp_path / "in" / "x.npz")
    back = load_snapshot(tmp_path / "in" / "x.npz")
    assert back.fingerprint == synthetic.fingerprint
    assert (back.name, back.facts) == (synthetic.name, synthetic.facts)
    assert back.scale == synthetic.scale
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["x.npz"]


@pytest.mark.parametrize(
    "ids", [[3, 1, 2], ["3", "1", "02"], ["日本", "a\x00b", ""], [2**63, 1, 2], [-(2**63), 0, 1]]
)
def test_ids_keep_their_type_and_order(ids: list[object], tmp_path: Path) -> None:
    from recexp.data.ids import IdMap

    plain = Dataset.from_columns("x", np.array(["a", "b", "c"]), np.array([1, 1, 1]))
    save_snapshot(replace(plain, users=IdMap(ids)), tmp_path / "x.npz")
    back = load_snapshot(tmp_path / "x.npz")
    assert list(back.users.ids) == ids
    assert back.interactions.timestamp is None
    assert (back.scale, back.item_features) == (None, None)


def test_any_damage_is_noticed(synthetic: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    save_snapshot(synthetic, path)
    content = path.read_bytes()
    for damaged in (content[:-100], content[: len(content) // 2], b"", b"not a zip"):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=r"snapshot .* is broken"):
            load_snapshot(path)
    # The last part is the archive's directory, which no checksum covers.
    for place in (
        *range(200, len(content), len(content) // 40),
        *range(len(content) - 1500, len(content), 7),
    ):
        path.write_bytes(content[:place] + bytes([content[place] ^ 255]) + content[place + 1 :])
        try:
            assert load_snapshot(path).fingerprint == synthetic.fingerprint
        except DataError:
            continue


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
        save_snapshot(synthetic, tmp_path / "file" / "x.npz")
