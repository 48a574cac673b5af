"""`recexp recommend`: the JSON of the contract, titles, reasons, mistakes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import recexp
from recexp import artifact
from recexp.__main__ import main
from recexp.algorithms.popularity import Popularity
from recexp.algorithms.tfidf import TfIdf
from recexp.data.dataset import Dataset
from recexp.fitted import FittedModel
from recexp.tracking.store import load

SMALL = ["dataset=synthetic", "dataset.n_users=80", "dataset.n_items=60"]
SMALL += ["dataset.n_interactions=1200", "plots=false"]


@pytest.fixture(scope="module")
def runs(synthetic: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of runs: `tfidf`, `popularity`, `ease`."""
    from recexp.algorithms.ease import EASE

    folder = tmp_path_factory.mktemp("runs")
    for name, algorithm in (("tfidf", TfIdf()), ("popularity", Popularity()), ("ease", EASE())):
        fitted = algorithm.fit(synthetic)
        artifact.save(FittedModel(fitted, synthetic), folder / name / "model")
    return folder


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    code = main(["recommend", *arguments, "--format", "json"])
    out, err = capsys.readouterr()
    assert code == 0, err
    return json.loads(out)


def test_the_document_is_that_of_the_contract(
    runs: Path, synthetic: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    found = answer(capsys, str(runs / "tfidf"), "--user", "u017", "-k", "4")
    assert set(found) == {"user", "source", "items"}
    assert (found["user"], found["source"]) == ("u017", "model")
    assert [one["rank"] for one in found["items"]] == [1, 2, 3, 4]
    titles = dict(zip(synthetic.items.ids, synthetic.item_columns["title"], strict=True))
    for one in found["items"]:
        assert set(one) == {"item", "rank", "score", "title", "reasons"}
        assert one["title"] == titles[one["item"]]
    expected = load(str(runs / "tfidf")).recommend(["u017"], 4)
    assert [one["item"] for one in found["items"]] == expected["item"].tolist()
    assert [one["score"] for one in found["items"]] == expected.score.tolist()


def test_reasons_are_terms_of_the_item(
    runs: Path, synthetic: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    found = answer(capsys, str(runs / "tfidf"), "--user", "u017")
    for one in found["items"]:
        at = synthetic.items.to_idx([one["item"]])[0]
        text = " ".join(synthetic.item_columns[name][at] for name in ("title", "genres")).lower()
        assert 1 <= len(one["reasons"]) <= 3
        for reason in one["reasons"]:
            assert reason["text"] == reason["term"]
            assert all(word in text for word in reason["term"].split())
            assert reason["weight"] > 0


def test_reasons_are_items_that_the_user_had(
    runs: Path, synthetic: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    found = answer(capsys, str(runs / "ease"), "--user", "u017")
    it = synthetic.interactions
    user = synthetic.users.to_idx(["u017"])[0]
    had = set(synthetic.items.to_ids(it.item_idx[it.user_idx == user].tolist()))
    titles = dict(zip(synthetic.items.ids, synthetic.item_columns["title"], strict=True))
    reasons = [reason for one in found["items"] for reason in one["reasons"]]
    assert reasons
    for reason in reasons:
        assert reason["item"] in had
        assert reason["text"] == titles[reason["item"]]
    assert not had & {one["item"] for one in found["items"]}


def test_an_unknown_user_gets_the_popular_items(
    runs: Path, synthetic: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    found = answer(capsys, str(runs / "ease"), "--user", "nobody", "-k", "3")
    assert (found["user"], found["source"]) == ("nobody", "popularity")
    counts = synthetic.positives().item_counts()
    scores = [one["score"] for one in found["items"]]
    assert scores == sorted(counts.tolist(), reverse=True)[:3]
    assert found["items"][0]["reasons"] == [
        {"text": f"chosen by {counts.max()} users", "weight": counts.max(), "users": counts.max()}
    ]


def test_several_users_are_a_list_and_seen_items_come_when_asked(
    runs: Path, synthetic: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["--user", "u001", "--user", "u002", "-k", "200", "--include-seen"]
    found = answer(capsys, str(runs / "popularity"), *asked)
    assert [one["user"] for one in found] == ["u001", "u002"]
    assert [len(one["items"]) for one in found] == [synthetic.n_items] * 2


def test_whole_numbers_are_read_from_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import numpy as np

    data = Dataset.from_columns("d", np.array([7, 7, 8]), np.array([1, 2, 1]))
    artifact.save(FittedModel(Popularity().fit(data), data), tmp_path / "run/model")
    found = answer(capsys, str(tmp_path / "run"), "--user", "8", "-k", "5")
    assert found["user"] == 8
    assert [one["item"] for one in found["items"]] == [2]
    assert found["items"][0]["title"] is None


def test_the_table_shows_the_user_and_his_list(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["recommend", str(runs / "tfidf"), "--user", "u017", "--user", "new"]) == 0
    out = capsys.readouterr().out
    assert "user u017:" in out
    assert "taste" in out
    assert "because:" in out
    assert "user new: unknown to training" in out


@pytest.mark.parametrize("candidates", ["all", "train"])
def test_the_lists_of_a_run_come_back(candidates: str, tmp_path: Path) -> None:
    options = [f"candidates={candidates}", f"output_dir={tmp_path}", "tracking=none"]
    result = recexp.run("algo=ease", "split=cold_item", *SMALL, *options)
    assert result.folder is not None
    model = load(str(result.folder))
    made = pd.read_parquet(result.folder / "recommendations.parquet").groupby("user_id")
    for user, mine in made:
        again = model.recommend([user], 20)
        assert again["item"].tolist() == mine.sort_values("rank").item_id.tolist()


def test_a_recorded_run_recommends_by_the_beginning_of_its_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    run_id = recexp.run("algo=tfidf", *SMALL).run_id
    assert run_id is not None
    found = answer(capsys, run_id[:8], "--user", "u17")
    assert found["user"] == "u17"
    done = answer(capsys, run_id, "--all-users", "--output", "recs.parquet")
    assert (done["run"], done["n_users"]) == (run_id, 80)
    table = pd.read_parquet("recs.parquet")
    assert table.user_id.nunique() == 80
    mine = table[table.user_id == "u17"]
    assert mine.item_id.tolist() == [one["item"] for one in found["items"]]
    capsys.readouterr()
    assert main(["recommend", "nothere", "--user", "u17"]) == 2
    assert "no run 'nothere'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--user", "u1", "-k", "0"], "k=0: expected lists of at least 1 item"),
        (["--all-users", "--output", "recs.txt"], "expected a name in .parquet or .csv"),
    ],
)
def test_a_mistake_is_one_line_and_code_2(
    runs: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["recommend", str(runs / "ease"), *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("arguments", [[], ["--all-users"], ["--user", "u1", "--output", "x.csv"]])
def test_whom_to_recommend_to_must_be_said(runs: Path, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["recommend", str(runs / "ease"), *arguments])
    assert caught.value.code == 2
