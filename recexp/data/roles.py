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
    "timestamp": "timestamp time datetime date unixreviewtime ts reviewtime createdat eventtime",
}
"""Names by role, the likelier first, without case and punctuation."""


@dataclass(frozen=True)
class Roles:
    """Positions of the columns by role, those whose names were guessed, and the names."""

    positions: Mapping[str, int]
    names: Mapping[str, str]
    guessed: tuple[str, ...]


def find_roles(
    header: Sequence[str], declared: Mapping[str, str | None] | None, where: str
) -> Roles:
    """Return the roles of the columns of a table.

    Args:
        header: the names of the columns.
        declared: name by role (user, item, rating, timestamp); None: guessed; '': there is none.
        where: the table, for messages.

    Raises ConfigError for an unknown role; DataError when a declared column is not there or is
    there twice, when one column would play two roles, or when user or item cannot be guessed.
    """
    declared = declared or {}
    for role in declared:
        if role not in USUAL:
            raise ConfigError(f"no config key 'dataset.columns.{role}'{did_you_mean(role, USUAL)}")
    more = ", ..." if len(header) > 20 else ""
    found = f"(found: {', '.join(header[:20])}{more})"
    names: dict[str, str] = {}
    guessed = []
    for role in USUAL:
        name = declared.get(role)
        if name is None:
            name = _guess(role, header)
            guessed += [role] if name else []
        if name:
            names[role] = str(name)
        elif role in ("user", "item"):
            raise DataError(
                f"{where} has no column for the {role} {found}; set dataset.columns.{role}=NAME"
                + _hint(header)
            )
    for role, name in names.items():
        if header.count(name) != 1:
            raise DataError(
                f"{where} has {'no' if name not in header else 'more than one'} column {name!r} "
                f"{found}; set dataset.columns.{role}=NAME"
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


def _guess(role: str, header: Sequence[str]) -> str | None:
    plain = [re.sub(r"[^a-z0-9]", "", name.lower()) for name in header]
    for usual in USUAL[role].split():
        if usual in plain:
            return header[plain.index(usual)]
    return None


def _hint(header: Sequence[str]) -> str:
    numeric = [name for name in header if re.fullmatch(r"[\d.]+", name)]
    return ", after adding a header line: the first line is data" if len(numeric) > 1 else ""
