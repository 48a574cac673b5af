"""Addresses of databases: what they become, and that their passwords stay hidden."""

from __future__ import annotations

import pytest

from recexp.data.address import PASSWORD, failure, masked, sql_address, sql_engine
from recexp.errors import ConfigError


@pytest.mark.parametrize(
    ("url", "password"),
    [
        ("postgresql://ann@db/shop", "fr0m-env"),
        ("postgresql://ann:***@db/shop", "fr0m-env"),
        ("postgresql://ann:0wn@db/shop", "0wn"),
        ("postgresql:///shop", "fr0m-env"),
        ("sqlite:///shop.db", None),
    ],
)
def test_a_url_without_password_gets_that_of_the_environment(
    url: str, password: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PASSWORD, "fr0m-env")
    address = sql_address(url)
    assert address.password == password
    assert not password or password not in masked(address)


def test_stars_are_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PASSWORD, raising=False)
    assert sql_address("postgresql://ann:***@db/shop").password is None


@pytest.mark.parametrize(
    ("url", "driver"),
    [
        ("postgres://db/shop", "postgresql+psycopg"),
        ("postgresql://db/shop", "postgresql+psycopg"),
        ("postgresql+asyncpg://db/shop", "postgresql+asyncpg"),
        ("mysql://db/shop", "mysql"),
    ],
)
def test_postgresql_has_a_driver_unless_one_is_named(url: str, driver: str) -> None:
    assert sql_address(url).drivername == driver


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "is no database URL"),
        ("shop.db", "is no database URL"),
        ("a b://me:s3cr3t@[", "is no database URL"),
        ("mysql://me:s3cr3t@db:port/shop", "is no database URL"),
        ("postgresql://me:ha@s3cr3t@db/shop", "has an @ in its user or password; write %40"),
        ("nosuchdb://me:s3cr3t@db/shop", "no driver for nosuchdb databases"),
        ("sqlite://me:s3cr3t@db/shop.db", "Invalid SQLite URL"),
    ],
)
def test_a_url_of_no_use_is_told_by_its_option_without_the_password(url: str, message: str) -> None:
    with pytest.raises(ConfigError, match=f"--output.*{message}") as caught:
        sql_engine(sql_address(url, "--output"), "--output")
    assert "s3cr3t" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_what_a_driver_says_is_one_line_without_the_password() -> None:
    address = sql_address("postgresql://ann:s3cr3t@db/shop?application_name=x")
    told = failure(address, OSError("no s3cr3t here\nDETAIL: password s3cr3t"), "cannot be reached")
    assert told == (
        "postgresql+psycopg://ann:***@db/shop?application_name=x cannot be reached (no *** here)"
    )
    asked = failure(address, OSError("fe_sendauth: no password supplied"), "cannot be reached")
    assert asked.endswith(f"; set the environment variable {PASSWORD}")
    hidden = masked(sql_address("postgresql:///shop?password=s3cr3t"))
    assert hidden == "postgresql+psycopg:///shop?password=***"
