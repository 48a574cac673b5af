"""Addresses of databases: parsed, given their password, never shown with it."""

from __future__ import annotations

import os
from typing import Any

from recexp.errors import ConfigError, redacted

PASSWORD = "RECEXP_SQL_PASSWORD"
"""The environment variable with the password of a URL that has none, or `***`."""
CONNECT_SECONDS = 10


def sql_address(url: str, option: str = "dataset.url") -> Any:
    """Return the `sqlalchemy.URL` of a database, with its password.

    The password is the URL's own, else that in RECEXP_SQL_PASSWORD, else left to what the driver
    knows (PGPASSWORD, .pgpass). PostgreSQL is spoken to through psycopg unless a driver is named.
    Raises ConfigError, which names `option`, for what is no URL.
    """
    import sqlalchemy as sa

    try:
        address = sa.make_url(url)
        backend = address.get_backend_name()
    except (sa.exc.ArgumentError, ValueError):
        raise ConfigError(
            f"{option}={redacted(url)!r} is no database URL; expected DIALECT://USER@HOST/NAME "
            "or sqlite:///FILE"
        ) from None
    if "@" in (address.host or ""):
        raise ConfigError(
            f"{option}={redacted(url)!r} has an @ in its user or password; write %40 for it, or "
            f"set the environment variable {PASSWORD}"
        )
    if address.drivername in ("postgres", "postgresql"):
        address = address.set(drivername="postgresql+psycopg")
    if address.password in (None, "***") and backend not in ("sqlite", "duckdb"):
        address = address._replace(password=os.environ.get(PASSWORD))
    return address


def sql_engine(address: Any, option: str = "dataset.url") -> Any:
    """Return the `sqlalchemy.Engine` for an address; nothing is connected yet.

    A server that does not answer is given up after CONNECT_SECONDS. Raises ConfigError, which
    names `option`, when the driver is not installed or the address is none for it.
    """
    import sqlalchemy as sa

    backend = address.get_backend_name()
    arguments = {"connect_timeout": CONNECT_SECONDS} if backend == "postgresql" else {}
    try:
        return sa.create_engine(address, connect_args=arguments, pool_pre_ping=True)
    except sa.exc.ArgumentError as error:
        if not isinstance(error, sa.exc.NoSuchModuleError):
            raise ConfigError(f"{option}: {reason(error, address)}") from None
        missing: Exception = error
    except ImportError as error:
        missing = error
    extra = ": pip install 'recexp[postgres]'" if address.drivername.endswith("psycopg") else ""
    raise ConfigError(
        f"{option}: no driver for {backend} databases ({reason(missing, address)}){extra}"
    )


def sql_errors() -> tuple[type[Exception], ...]:
    """Return what goes wrong with databases; a driver may raise its own below SQLAlchemy's."""
    import sqlalchemy as sa

    return (sa.exc.SQLAlchemyError, OSError, UnicodeError)


def masked(address: Any) -> str:
    """Return the address as text, its password masked."""
    return redacted(str(address.render_as_string(hide_password=True)))


def failure(address: Any, error: Exception, what: str) -> str:
    """Return one line on an error of a database: where, what happened, why, and what to do."""
    why = reason(error, address)
    asks = "password" in why.lower() or "authentication" in why.lower()
    advice = f"; set the environment variable {PASSWORD}" if asks else ""
    return f"{masked(address)} {what} ({why}){advice}"


def reason(error: Exception, address: Any) -> str:
    """Return the first line of what a driver says, without the password."""
    text = str(getattr(error, "orig", None) or error) or type(error).__name__
    if address.password:
        text = text.replace(str(address.password), "***")
    lines = [line.strip() for line in redacted(text).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
