"""`recexp evaluate`: lists from elsewhere, and our own read back."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import recexp
from recexp.__main__ import main
from recexp.data.columns import read_columns, whole_numbers
from recexp.errors import DataError


def test_a_runs_own_lists_give_its_metrics_exactly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    result = recexp.run(
        *("dataset=movielens", "algo=popularity", "split=random", "tracking=none", "plots=false"),
        "split.save=split",
    )
    assert result.folder is not None
    files = ["--test", "split/test.parquet", "--train", "split/train.parquet"]
    lists = ["--recommendations", str(result.folder / "recommendations.parquet")]
    assert main(["evaluate", *files, *lists, "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    compared = 0
    for name, value in result.metrics.items():
        if "_at_" in name and "_ci_" not in name and name in document["metrics"]:
            assert document["metrics"][name] == value, name
            compared += 1
    assert compared > 40
    for end in ("low", "high"):
        key = f"ndcg_at_10_ci_{end}"
        assert document["intervals"][key] == result.metrics[key]
    assert document["assumptions"]


def test_hand_made_csv_files_give_fractions_worked_out_by_hand(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """User 007 has hits at ranks 1 and 3 of three relevant items; user b has none of one."""
    (tmp_path / "test.csv").write_text(
        "user;item;rating\n007;x;5\n007;y;4\n007;z;5\n007;w;1\nb;x;4\n"
    )
    (tmp_path / "lists.csv").write_text(
        "user,item,score\n007,x,0.9\n007,w,0.8\n007,z,0.7\nb,y,3\nb,w,1\n"
    )
    arguments = ["--test", str(tmp_path / "test.csv"), "--cutoffs", "3"]
    arguments += ["--recommendations", str(tmp_path / "lists.csv"), "--format", "json"]
    assert main(["evaluate", *arguments]) == 0
    metrics = json.loads(capsys.readouterr().out)["metrics"]
    assert metrics["precision_at_3"] == pytest.approx((2 / 3 + 0) / 2)
    assert metrics["recall_at_3"] == pytest.approx((2 / 3 + 0) / 2)
    assert metrics["map_at_3"] == pytest.approx((1 / 1 + 2 / 3) / 3 / 2)
    assert metrics["mrr_at_3"] == pytest.approx(1 / 2)
    ideal = 1 + 1 / np.log2(3) + 1 / 2
    assert metrics["ndcg_at_3"] == pytest.approx((1 + 1 / 2) / ideal / 2)
    assert main(["evaluate", *arguments[:-2]]) == 0
    table = capsys.readouterr().out
    assert "precision@3" in table
    assert "assumed  " in table


@pytest.mark.parametrize(
    ("test", "lists", "message"),
    [
        ("", "user,item,rank\na,x,1\n", "cannot be read"),
        ("user,item\n", "user,item,rank\na,x,1\n", "has no rows"),
        ("user,thing\na,x\n", "user,item,rank\na,x,1\n", "no column 'item'"),
        ("user,item\na,x\n", "user,item\na,x\n", "neither 'rank' nor 'score'"),
        ("user,item\na,x\n", "user,item,rank\na,x,first\n", "must hold finite numbers"),
        ("user,item,rating\na,x,good\n", "user,item,rank\na,x,1\n", "must hold finite numbers"),
    ],
)
def test_unusable_files_are_told_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], test: str, lists: str, message: str
) -> None:
    (tmp_path / "test.csv").write_text(test)
    (tmp_path / "lists.csv").write_text(lists)
    arguments = ["--test", str(tmp_path / "test.csv")]
    arguments += ["--recommendations", str(tmp_path / "lists.csv")]
    assert main(["evaluate", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1


def test_ids_are_numbers_only_if_all_are(tmp_path: Path) -> None:
    pd.DataFrame({"user": [1, 2], "x": ["a", "b"]}).to_parquet(tmp_path / "a.parquet")
    columns = read_columns(tmp_path / "a.parquet", ["user"])
    assert columns["user"].tolist() == ["1", "2"]
    assert columns["x"].tolist() == ["a", "b"]
    assert whole_numbers([columns["user"]])[0].tolist() == [1, 2]
    assert whole_numbers([np.array(["1"]), np.array([str(2**70)])])[0].tolist() == ["1"]
    with pytest.raises(DataError, match="is no file"):
        read_columns(tmp_path, [])
