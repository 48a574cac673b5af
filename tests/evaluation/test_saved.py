"""Reading the per-user values that runs left."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from recexp.data.arrow import write_parquet
from recexp.errors import DataError
from recexp.evaluation.saved import per_user_names, read_per_user


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    columns = {
        "user_id": np.array(["007", "7", "x"]),
        "cold_users": np.array([True, False, True]),
        "n_relevant": np.array([1, 2, 0]),
        "ndcg_at_10": np.array([0.5, 0.25, np.nan]),
        "map_at_10": np.array([0.1, 0.2, np.nan]),
        "tail_items/ndcg_at_10": np.array([np.nan, 1.0, np.nan]),
        "n_ratings": np.array([3, 0, 1]),
        "squared_error": np.array([3.0, 0.0, 4.0]),
        "absolute_error": np.array([2.0, 0.0, 2.0]),
    }
    path = tmp_path / "per_user.parquet"
    write_parquet(path, columns)
    return path


def test_only_what_a_metric_needs_is_read(saved: Path) -> None:
    (found,) = read_per_user([saved], ["ndcg@10"])
    assert set(found) == {"user_id", "n_relevant", "n_ratings", "ndcg_at_10"}
    (found,) = read_per_user([saved], ["tail_items/ndcg@10", "cold_users/rmse"])
    assert {"tail_items/ndcg_at_10", "cold_users", "squared_error"} <= set(found)
    assert "map_at_10" not in found


def test_values_and_ids_come_back_as_they_were(saved: Path) -> None:
    (found,) = read_per_user([saved], ["cold_users/ndcg@10"])
    assert found["user_id"].tolist() == ["007", "7", "x"]
    assert found["cold_users"].tolist() == [True, False, True]
    np.testing.assert_array_equal(found["ndcg_at_10"], [0.5, 0.25, np.nan])


def test_runs_of_the_same_users_share_their_ids(saved: Path) -> None:
    first, second = read_per_user([saved, saved], ["ndcg@10"])
    assert first["user_id"] is second["user_id"]


def test_metrics_and_segments_are_named(saved: Path) -> None:
    metrics, segments = per_user_names(saved)
    assert {"ndcg_at_10", "map_at_10", "squared_error"} == set(metrics) - {"absolute_error"}
    assert segments == ["cold_users", "tail_items"]


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.parquet").write_text("no parquet")
    with pytest.raises(DataError, match=r"text\.parquet cannot be read"):
        read_per_user([tmp_path / "text.parquet"], ["ndcg@10"])
    write_parquet(tmp_path / "other.parquet", {"a": np.arange(2)})
    with pytest.raises(DataError, match="has no column 'user_id'; found a"):
        per_user_names(tmp_path / "other.parquet")


def test_reading_does_not_import_pandas(saved: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from recexp.evaluation.saved import read_per_user; "
        f"read_per_user([Path({str(saved)!r})], ['ndcg@10', 'cold_users/rmse']); "
        "assert 'pandas' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
