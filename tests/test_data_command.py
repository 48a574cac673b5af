"""`recexp data`: fetch, check, describe, and what they say of mistakes."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import recexp
from recexp.__main__ import main

SMALL = ["dataset.n_users=80", "dataset.n_items=60", "dataset.n_interactions=1200"]


def answer(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> Any:
    assert main(["data", *arguments, "--format", "json", "-q"]) == code
    return json.loads(capsys.readouterr().out)


def table(path: Path, rows: list[list[object]]) -> str:
    """Write a CSV file with columns user,item,rating,timestamp."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["user", "item", "rating", "timestamp"])
        writer.writerows(rows)
    return f"dataset.path={path}"


@pytest.fixture
def shop(tmp_path: Path) -> str:
    """60 users with 10 items each, one of them bought twice, all at one moment."""
    rows: list[list[object]] = [
        [f"u{u}", f"i{i}", (u * i) % 5 + 1, 1_600_000_000] for u in range(60) for i in range(10)
    ]
    return table(tmp_path / "shop.csv", [*rows, ["u0", "i0", 5, 1_600_000_000]])


def test_describe_is_the_profile_and_the_splits(capsys: pytest.CaptureFixture[str]) -> None:
    found = answer(capsys, "describe", "synthetic", *SMALL)
    assert found["profile"]["n_interactions"] == 1200
    assert found["profile"]["time"]["first"].startswith("2020-01-0")
    assert {"temporal", "temporal_user", "last_n", "random", "cold_user"} <= set(found["splits"])
    assert found["splits"]["random"]["n_test"] == 240
    assert "predefined" not in found["splits"]


def test_describe_is_of_what_a_run_would_see(capsys: pytest.CaptureFixture[str]) -> None:
    core = ["preprocess=k_core", "preprocess.k_core.users=10", "preprocess.k_core.items=10"]
    found = answer(capsys, "describe", "synthetic", *SMALL, *core, "relevance_threshold=5")
    assert found["profile"]["users"]["min"] >= 10
    assert found["profile"]["relevance_threshold"] == 5
    assert len(found["steps"]) == 2


def test_describe_counts_the_features_that_would_be_made(
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = answer(capsys, "describe", "synthetic", *SMALL)["profile"]["item_features"]
    assert given == 8  # genres
    options = ["features=columns", "features.items.columns={title: text, genres: multi_hot}"]
    made = answer(capsys, "describe", "synthetic", *SMALL, *options)["profile"]["item_features"]
    sizes = {name.partition(".")[2]: int(n) for name, _, n in (o.partition("=") for o in SMALL)}
    titles = recexp.load_dataset("synthetic", **sizes).item_columns["title"]
    words = {word for title in titles for word in re.findall(r"\w\w+", title.lower())}
    assert made == len(words) + 8


def test_plots_go_into_a_folder_and_everything_into_a_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, page = tmp_path / "new" / "plots", tmp_path / "profile.html"
    found = answer(capsys, "describe", "synthetic", *SMALL, "--output", str(folder))
    names = {"ratings.png", "activity.png", "long_tail.png", "time.png"}
    assert {path.name for path in folder.iterdir()} == names
    assert {Path(path).name for path in found["files"]} == names
    for path in folder.iterdir():
        assert path.read_bytes().startswith(b"\x89PNG")
    answer(capsys, "describe", "synthetic", *SMALL, "--output", str(page))
    html = page.read_text(encoding="utf-8")
    assert html.count("data:image/png;base64,") == 4
    assert not re.search(r"(src|href)=\"(?!data:)", html)
    assert "temporal_user" in html


def test_a_user_is_described(capsys: pytest.CaptureFixture[str]) -> None:
    found = answer(capsys, "describe", "synthetic", *SMALL, "--user", "u17")
    assert found["user"] == "u17"
    assert found["columns"] == {"segment": found["columns"]["segment"]}
    both = answer(capsys, "describe", "synthetic", *SMALL, "--user", "u17", "--user", "u18")
    assert [one["user"] for one in both] == ["u17", "u18"]
    assert main(["data", "describe", "synthetic", *SMALL, "--user", "u17"]) == 0
    assert "mainstreamness" in capsys.readouterr().out


def test_check_says_what_is_wrong_and_what_would_be_done(
    shop: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = answer(capsys, "check", "csv", shop, "split=random")
    whats = {one["what"]: (one["level"], one["count"]) for one in found["findings"]}
    assert whats["every timestamp is 2020-09-13 12:26:40"] == ("problem", 601)
    assert whats["1 rows repeat a pair of user and item (0 of them in all columns)"] == ("note", 1)
    assert found["steps"] == ["deduplicate: 601 -> 600 interactions, 60 users, 10 items"]
    assert found["would_fail"] is None


def test_check_exits_with_1_when_a_run_would_fail(
    shop: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = answer(capsys, "check", "csv", shop, "split=temporal", code=1)
    assert "split=temporal" in found["would_fail"]
    assert not found["splits"]["temporal"]["possible"]
    assert main(["data", "check", "csv", shop, "split=temporal", "-q"]) == 1
    out = capsys.readouterr().out
    assert "a run with these choices would fail" in out
    assert "not possible: temporal:" in out
    lost = answer(
        capsys, "check", "csv", shop, "preprocess=k_core", "preprocess.k_core.users=99", code=1
    )
    assert "leaves nothing" in lost["would_fail"]


def test_check_looks_at_the_split_that_was_chosen(
    shop: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["split=random", "split.test_fraction=0.5"]
    assert answer(capsys, "check", "csv", shop, *options)["splits"]["random"]["n_test"] == 300


def test_fetch_says_what_was_got(capsys: pytest.CaptureFixture[str]) -> None:
    found = answer(capsys, "fetch", "synthetic", *SMALL)
    assert (found["dataset"], found["n_interactions"]) == ("synthetic", 1200)
    assert found["source"] == "synthetic"
    assert Path(found["cache"]).name


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["describe", "movielsen"], "no option dataset=movielsen; did you mean 'movielens'?"),
        (["describe", "synthetic", "dataset.n_user=3"], "did you mean 'dataset.n_users'"),
        (["check", "csv", "dataset.path=none.csv"], "none.csv"),
        (["check", "csv"], "dataset.path is required"),
        (["describe", "synthetic", *SMALL, "--user", "x"], "synthetic has no user 'x'"),
        (["check", "synthetic", *SMALL, "--output", "x"], "takes no --user and no --output"),
        (["describe", "synthetic", *SMALL, "--output", "/dev/null/x"], "cannot be written"),
    ],
)
def test_a_mistake_is_one_line_and_code_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", *arguments, "-q"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert err.count("\n") == 1


def test_a_threshold_that_no_rating_reaches_is_a_problem(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows: list[list[object]] = [
        [u, i, 1 + (u + i) % 2, 1_600_000_000 + u * 100 + i] for u in range(60) for i in range(10)
    ]
    path = table(tmp_path / "low.csv", rows)
    found = answer(capsys, "check", "csv", path, "dataset.scale=[1,5]", code=1)
    assert "no rating reaches the relevance threshold 4" in {
        one["what"] for one in found["findings"]
    }
    assert found["would_fail"] == "split=temporal leaves no user with a relevant test item"
    assert found["suggested_split"] is None
    assert np.isclose(found["splits"]["random"]["evaluated_users"], 0)


def test_fetch_names_the_files_and_their_licence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A published dataset of the user's own, whose file is there already."""
    table(tmp_path / "ratings.csv", [["u1", "i1", 5, 7], ["u1", "i2", 3, 8], ["u2", "i1", 4, 9]])
    digest = hashlib.sha256((tmp_path / "ratings.csv").read_bytes()).hexdigest()
    (tmp_path / "dataset").mkdir()
    (tmp_path / "dataset" / "published.yaml").write_text(
        f"""# somebody's
_target_: recexp.data.public.load_public
name: published
homepage: https://example.org
licence: CC0
citation: Somebody 2020
files: {{ratings.csv: {{url: "https://example.org/r.csv", checksum: "sha256:{digest}"}}}}
interactions: ratings.csv
path: {tmp_path}
"""
    )
    options = ["published", "--config-dir", str(tmp_path)]
    assert main(["data", "fetch", *options, "-q"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^licence +CC0$", out, re.MULTILINE)
    assert re.search(r"^citation +Somebody 2020$", out, re.MULTILINE)
    assert re.search(rf"^ratings\.csv +https://example\.org/r\.csv \(sha256:{digest}\)$", out, re.M)
    assert answer(capsys, "fetch", *options)["n_interactions"] == 3
