"""Passwords stay where they are: in nothing that is printed, logged or recorded."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from recexp.__main__ import main
from recexp.errors import DataError, redacted

SERVER = os.environ.get("RECEXP_TEST_POSTGRES_URL", "")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgresql://ann:s3cr3t@db/shop", "postgresql://ann:***@db/shop"),
        ("a mysql+pymysql://a:p@ss/w:rd@h:1/x b", "a mysql+pymysql://a:***@h:1/x b"),
        ("dataset.url=x://:s3cr3t@h", "dataset.url=x://:***@h"),
        ("x://h/db?user=a&password=s3cr3t&b=1", "x://h/db?user=a&password=***&b=1"),
        ("https://example.org/a:b", "https://example.org/a:b"),
        ("sqlite:///shop.db", "sqlite:///shop.db"),
        ("mail me at a@b.org: now", "mail me at a@b.org: now"),
    ],
)
def test_the_password_of_a_url_is_hidden_and_nothing_else(text: str, expected: str) -> None:
    assert redacted(text) == expected
    assert redacted({"a": [text, (text, 1)], "b": None}) == {
        "a": [expected, (expected, 1)],
        "b": None,
    }


def test_errors_are_one_line_whatever_they_quote() -> None:
    assert str(DataError("column 'a\nb' of\r\nx")) == "column 'a b' of x"


def test_an_error_of_the_command_line_shows_no_password(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    url = "dataset.url='foo://ann:s3cr3t@127.0.0.1/x'"
    code = main(["run", "--quiet", "dataset=sql", url, "dataset.table=t", "tracking=none"])
    error = capsys.readouterr().err
    assert code == 2
    assert "no driver for foo databases" in error
    assert "s3cr3t" not in error


@pytest.mark.skipif(not SERVER, reason="RECEXP_TEST_POSTGRES_URL names no server")
def test_a_run_on_a_database_records_no_password(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sqlalchemy as sa

    address = sa.make_url(SERVER)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'runs.db'}")
    monkeypatch.setenv("RECEXP_CACHE", str(tmp_path / "cache"))
    query = "select g % 37 user_id, g * g % 41 item_id, g ts from generate_series(1, 900) g"
    code = main(
        ["run", "dataset=sql", f"dataset.url='{SERVER}'", f"dataset.query='{query}'", "plots=false"]
    )
    printed = "".join(capfd.readouterr())
    assert code == 0, printed
    secret = str(address.password)
    assert secret not in printed
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert len(files) > 10
    assert [str(file) for file in files if secret.encode() in file.read_bytes()] == []
