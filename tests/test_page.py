"""The page of an experiment: whole, safe, and readable by people and machines."""

from __future__ import annotations

import re
import shutil
import sqlite3
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from recexp.__main__ import main
from recexp.errors import ConfigError, StorageError
from recexp.page import report
from recexp.reporting.checklist import Evidence, checklist
from recexp.tracking.records import RunReader

VOID = {"meta", "img", "br", "link", "input", "hr"}


class Outline(HTMLParser):
    """Elements with their attributes and text; fails where tags do not nest."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] not in ("style", "title"):
            self.text.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def page(recorded: Any) -> str:
    return report("small", recorded.uri)


@pytest.fixture(scope="module")
def outline(page: str) -> Outline:
    return Outline(page)


@pytest.fixture
def copy(recorded: Any, tmp_path: Path) -> Path:
    """The database of the recorded runs, to be changed; their files stay where they are."""
    path = tmp_path / "mlflow.db"
    shutil.copy(recorded.uri.removeprefix("sqlite:///"), path)
    return path


def change(database: Path, statement: str, *values: Any) -> str:
    with sqlite3.connect(database) as connection:
        connection.execute(statement, values)
    return f"sqlite:///{database}"


def test_nothing_is_fetched_from_anywhere(page: str, outline: Outline) -> None:
    assert not outline.all("script")
    assert not outline.all("link")
    for image in outline.all("img"):
        assert str(image["src"]).startswith("data:image/svg+xml;base64,")
    for link in outline.all("a"):
        assert str(link["href"]).startswith("#")
    assert "@import" not in page
    assert "url(" not in page


def test_every_plot_says_in_words_what_it_shows(outline: Outline) -> None:
    alts = [str(image["alt"]) for image in outline.all("img")]
    assert len(alts) >= 7
    assert all(len(alt) > 20 for alt in alts)
    assert any("ndcg@10 against coverage" in alt for alt in alts)


def test_tables_have_captions_and_headers_with_scope(outline: Outline) -> None:
    n_tables = len(outline.all("table"))
    assert n_tables >= 5
    assert len(outline.all("caption")) == n_tables
    assert all(header.get("scope") in ("col", "row") for header in outline.all("th"))
    ids = [attributes["id"] for _, attributes in outline.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in outline.elements:
        if "aria-labelledby" in attributes:
            assert attributes["aria-labelledby"] in ids


def test_the_numbers_are_those_recorded(outline: Outline, recorded: Any) -> None:
    text = " ".join(outline.text)
    for run in RunReader(recorded.uri).of_experiment("small"):
        for name in ("ndcg_at_10", "recall_at_10", "coverage_at_10", "warm_users/ndcg_at_10"):
            assert f"{run.metrics[name]:.4f}" in text
        assert run.run_id[:8] in text
        assert run.tags["recexp.config_hash"][:12] in text


def test_every_split_has_a_section_of_its_own(recorded: Any) -> None:
    headings = re.findall(r"<h2 id=\"s\d\">(.*?)</h2>", report("splits", recorded.uri))
    assert headings == ["synthetic, temporal split", "synthetic, random split"]


def test_hostile_names_are_shown_as_text(copy: Path, recorded: Any) -> None:
    bad = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>"
    id_ = recorded.ids["small/ease"]
    change(copy, "UPDATE runs SET name = ? WHERE run_uuid = ?", bad, id_)
    change(copy, "UPDATE params SET value = ? WHERE key = 'algo' AND run_uuid = ?", bad, id_)
    change(copy, "UPDATE params SET value = ? WHERE key = 'dataset'", bad)
    change(copy, "INSERT INTO tags VALUES ('recexp.reason', ?, ?)", bad, id_)
    uri = change(
        copy,
        "INSERT INTO experiment_tags SELECT 'mlflow.note.content', ?, experiment_id "
        "FROM experiments WHERE name = 'small'",
        bad,
    )
    outline = Outline(report("small", uri))
    assert not outline.all("script")
    assert all("onerror" not in image for image in outline.all("img"))
    assert bad in "".join(outline.text)


def test_the_question_stands_on_top(copy: Path) -> None:
    uri = change(
        copy,
        "INSERT INTO experiment_tags SELECT 'mlflow.note.content', 'Does it matter?', "
        "experiment_id FROM experiments WHERE name = 'small'",
    )
    page = report("small", uri)
    assert '<p class="question">Does it matter?</p>' in page
    assert "? not recorded</span><span>Is it said what the experiment asks?" not in page


def test_searches_are_shown_with_their_warnings(copy: Path, recorded: Any, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    (folder / "tuning").mkdir(parents=True)
    (folder / "tuning" / "trials.csv").write_text(
        "trial,state,value,seconds,n_factors\n0,COMPLETE,0.1,1.5,10\n1,PRUNED,,0.5,20\n"
        "2,COMPLETE,0.3,1.0,40\n"
    )
    (folder / "tuning" / "report.json").write_text(
        '{"warnings": ["n_factors=40 is at the edge"], "importance": {"n_factors": 1.0}}'
    )
    id_ = recorded.ids["small/als"]
    change(copy, "UPDATE runs SET artifact_uri = ? WHERE run_uuid = ?", folder.as_uri(), id_)
    uri = change(copy, "INSERT INTO tags VALUES ('recexp.kind', 'tuning', ?)", id_)
    outline = Outline(report("small", uri))
    text = " ".join(" ".join(outline.text).split())
    assert "n_factors=40 is at the edge" in text
    assert "3 (2 COMPLETE; 1 PRUNED)" in text
    assert "importance n_factors 1" in text
    assert any("als 0.3000 of 2 trials" in str(image["alt"]) for image in outline.all("img"))


def test_what_was_left_out_is_said(copy: Path, recorded: Any) -> None:
    id_ = recorded.ids["small/als"]
    uri = change(copy, "UPDATE runs SET status = 'FAILED' WHERE run_uuid = ?", id_)
    page = report("small", uri)
    assert "did not finish: FAILED" in page


def test_an_experiment_without_results_has_a_page_too(copy: Path) -> None:
    page = report("small", change(copy, "UPDATE runs SET status = 'KILLED'"))
    assert "No finished run of this experiment has results to show." in page
    with pytest.raises(ConfigError, match="has no runs"):
        report("small", change(copy, "UPDATE runs SET lifecycle_stage = 'deleted'"))
    with pytest.raises(StorageError, match="did you mean 'small'"):
        report("smal", f"sqlite:///{copy}")


def test_the_command_writes_the_page(
    recorded: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", recorded.uri)
    path = tmp_path / "r.html"
    assert main(["report", "--experiment", "small", "--output", str(path)]) == 0
    assert path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert main(["report", "--experiment", "small", "--output", str(tmp_path)]) == 2
    assert "cannot be written" in capsys.readouterr().err


def answers(**changes: Any) -> dict[str, str]:
    run = {
        "params.algo": "ease",
        "params.candidates": "all",
        "tags.recexp.dataset_fingerprint": "x",
        "tags.recexp.split_fingerprint": "y",
        "metrics.ndcg_at_10_ci_low": 0.1,
        "metrics.time/total_seconds": 1.0,
    }
    provenance = {
        "git": {"commit": "c" * 40, "dirty": False},
        "packages": {"numpy": "2"},
        "cpu": "one",
        "preprocess": [],
        "dataset_facts": {"licence": "free"},
    }
    evidence: dict[str, Any] = {
        "question": "Which?",
        "runs": [run, run],
        "provenances": [provenance],
        "audits": [{"future_training_share": 0.0, "duplicate_pairs": 0}],
        "simple": True,
        "tuned": {"ease": 20},
        "seeds": 3,
        "reproduced": 1,
        "profiled": True,
    }
    return {one.question: one.answer for one in checklist(Evidence(**(evidence | changes)))}


def test_an_experiment_that_recorded_all_has_all_boxes_checked() -> None:
    assert set(answers().values()) == {"yes"}


@pytest.mark.parametrize(
    ("changes", "question", "answer"),
    [
        ({"question": ""}, "Is it said what", "not recorded"),
        ({"audits": [{"future_training_share": 0.3, "duplicate_pairs": 0}]}, "later than", "no"),
        ({"audits": [{}]}, "on both sides", "not recorded"),
        ({"simple": False}, "simple method among", "no"),
        ({"tuned": {}}, "Were the methods tuned", "no"),
        ({"tuned": {"ease": 20, "als": 30}}, "same budget", "no"),
        ({"tuned": {"als": 30}}, "same budget", "no"),
        ({"tuned": {}}, "same budget", "not recorded"),
        ({"runs": [{"params.candidates": "train"}]}, "whole catalogue", "no"),
        ({"seeds": 1}, "several seeds", "no"),
        ({"reproduced": 0}, "running it again", "no"),
        ({"provenances": [{"git": None}]}, "that ran a commit", "not recorded"),
        ({"provenances": [{"git": {"commit": "c", "dirty": True}}]}, "that ran a commit", "no"),
        ({"provenances": []}, "versions of all software", "not recorded"),
    ],
)
def test_the_checklist_says_no_and_not_recorded(
    changes: dict[str, Any], question: str, answer: str
) -> None:
    found = {text: one for text, one in answers(**changes).items() if question in text}
    assert list(found.values()) == [answer]
