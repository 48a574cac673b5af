"""Which column of a table is the user, the item, the rating and the timestamp."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from recexp.errors import ConfigError, DataError, did_you_mean

log = logging.getLogger(__name__)

USUAL = {
    "user": "user userid uid customer customerid client clientid reviewer reviewerid member "
    "memberid visitor visitorid account accountid session sessionid",
    "item": "item itemid iid movie movieid product productid asin sku book bookid article "
    "articleid song songid track trackid artist artistid business businessid content contentid",
    "rating": "rating ratings score stars star overall value",
    "timestamp": "timestamp time datetime date unixreviewtime unixtimestamp ts reviewtime "
    "createdat eventtime",
}
"""Names by role, the likelier first, without case and punctuation."""
ROLES = tuple(USUAL)


@dataclass(frozen=True)
class Roles:
    """Positions of the columns by role, those whose names were guessed, and the names."""

    positions: Mapping[str, int]
    names: Mapping[str, str]
    guessed: tuple[str, ...]


def find_roles(
    header: Sequence[str],
    declared: Mapping[str, str | int | None] | None,
    where: str,
    guesses: Mapping[str, str] | None = None,
) -> Roles:
    """Return the roles of the columns of a table.

    Args:
        header: the names of the columns; their numbers, from 1, where they have none.
        declared: name by role (user, item, rating, timestamp), or the number of the column, from
            1; None: guessed; '': there is none.
        where: the table, for messages.
        guesses: name by role, instead of guessing by the usual names.

    Raises ConfigError for an unknown role; DataError when a declared column is not there or is
    there twice, when one column would play two roles, or when user or item cannot be guessed.
    """
    declared = declared or {}
    check_declared(declared)
    more = ", ..." if len(header) > 20 else ""
    found = f"(found: {', '.join(header[:20])}{more})"
    names: dict[str, str] = {}
    guessed = []
    for role in ROLES:
        name = declared.get(role)
        if isinstance(name, int) and 1 <= name <= len(header):
            name = header[name - 1]
        if name is None:
            name = guess(role, header) if guesses is None else guesses.get(role)
            guessed += [role] if name else []
        if name or name == 0:
            names[role] = str(name)
        elif role in ("user", "item"):
            raise DataError(
                f"{where} has no column for the {role} {found}; set dataset.columns.{role}=NAME"
            )
    for role, name in names.items():
        if name not in header:
            raise DataError(
                f"{where} has no column {name!r} {found}; set dataset.columns.{role}=NAME"
            )
        if header.count(name) > 1:
            raise DataError(
                f"{where} has more than one column {name!r} {found}; call them differently there, "
                f"or set dataset.columns.{role} to another"
            )
    for role, name in names.items():
        others = [other for other, same in names.items() if same == name and other != role]
        if others:
            raise DataError(
                f"{where}: column {name!r} cannot be both {role} and {others[0]}; "
                f"set dataset.columns.{role} and dataset.columns.{others[0]}"
            )
    if guessed:
        log.info("%s: guessed %s", where, ", ".join(f"{role}={names[role]}" for role in guessed))
    positions = {role: header.index(name) for role, name in names.items()}
    return Roles(positions, names, tuple(guessed))


def check_declared(declared: Mapping[str, object]) -> None:
    """Raise ConfigError for a role that there is not, or a column that is no name or number."""
    for role, name in declared.items():
        if role not in USUAL:
            raise ConfigError(f"no config key 'dataset.columns.{role}'{did_you_mean(role, USUAL)}")
        if name is not None and (isinstance(name, bool) or not isinstance(name, str | int)):
            raise ConfigError(f"dataset.columns.{role}={name!r}: expected a column's name")


def guess(role: str, header: Sequence[str]) -> str | None:
    """Return the column that has one of the usual names of a role, the likeliest one."""
    plain = [plain_name(name) for name in header]
    for usual in USUAL[role].split():
        if usual in plain:
            return header[plain.index(usual)]
    return None


def usual_role(name: str) -> str | None:
    """Return the role of which `name` is a usual name.

    >>> usual_role("User_ID"), usual_role("title")
    ('user', None)
    """
    return next((role for role in ROLES if plain_name(name) in USUAL[role].split()), None)


def plain_name(name: str) -> str:
    """Return a name without case and punctuation, and without a type (`user_id:token`)."""
    return re.sub(r"[^a-z0-9]", "", name.partition(":")[0].lower())
