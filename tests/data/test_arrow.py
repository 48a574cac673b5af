"""Columns in Parquet files, read back by pandas."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from recexp.data.arrow import arrow_ids, write_parquet
from recexp.data.ids import IdMap


def test_columns_come_back_as_pandas_reads_them(tmp_path: Path) -> None:
    columns = {
        "whole": np.array([3, -1, 2**60]),
        "small": np.array([1, 2, 3], np.int32),
        "real": np.array([0.5, np.nan, -1.0], np.float32),
        "flag": np.array([True, False, True]),
        "text": np.array(["a", "", "日本 é"]),
        "user": arrow_ids(IdMap(["007", "7", "x"]), np.array([2, 0, 0], np.int32)),
        "item": arrow_ids(IdMap([10, 20]), np.array([1, 1, 0], np.int32)),
    }
    write_parquet(tmp_path / "a.parquet", columns)
    found = pd.read_parquet(tmp_path / "a.parquet")
    assert found.whole.tolist() == [3, -1, 2**60]
    assert found.small.dtype == np.int32
    np.testing.assert_array_equal(found.real, columns["real"])
    assert found.flag.tolist() == [True, False, True]
    assert found.text.tolist() == ["a", "", "日本 é"]
    assert found.user.tolist() == ["x", "007", "007"]
    assert found.item.tolist() == [20, 20, 10]


def test_empty_columns_are_written(tmp_path: Path) -> None:
    write_parquet(tmp_path / "a.parquet", {"a": np.zeros(0), "b": np.zeros(0, bool)})
    assert pd.read_parquet(tmp_path / "a.parquet").shape == (0, 2)


def test_writing_imports_no_pandas(tmp_path: Path) -> None:
    code = (
        "import sys, numpy as np; from pathlib import Path\n"
        "from recexp.data.arrow import write_parquet\n"
        "write_parquet(Path(sys.argv[1]), {'a': np.arange(3), 'b': np.array(['x', 'y', 'z'])})\n"
        "assert 'pandas' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.parquet")], check=True)
