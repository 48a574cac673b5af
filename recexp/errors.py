"""The errors a user can mend, and the search for the name that was meant.

Every message is one line: what was found, what was expected, what to do. The command line prints
it without a traceback and exits with code 2.
"""

from __future__ import annotations

import contextlib
import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

T = TypeVar("T")


class RecexpError(Exception):
    """A mistake or a state of the world that the user can mend; the message says how.

    It is one line: what it quotes (a column's name, a driver's words) may have several.
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.splitlines()))


class ConfigError(RecexpError):
    """A wrong override, option, hyperparameter or combination of them."""


class DataError(RecexpError):
    """Data that is missing, broken, or unfit for what was asked of it."""


class TooLargeError(DataError):
    """Data that this machine has too little memory for."""


class StorageError(RecexpError):
    """A cache, output folder or tracking store that cannot be read or written."""


def redacted(value: T) -> T:
    """Return a text, or lists and mappings of texts, without the passwords of the URLs in them.

    >>> redacted("sqlalchemy failed: postgresql://ann:s3cr3t@db/shop?sslmode=require")
    'sqlalchemy failed: postgresql://ann:***@db/shop?sslmode=require'
    """
    found: Any = value
    if isinstance(value, str):
        found = re.sub(r"(\w://[^\s:/@]*):[^\s]*@", r"\1:***@", value)
        found = re.sub(r"(?i)([?&;](?:password|pwd|passwd)=)[^\s&;]*", r"\1***", found)
    elif isinstance(value, Mapping):
        found = {key: redacted(one) for key, one in value.items()}
    elif isinstance(value, list | tuple):
        found = type(value)(redacted(one) for one in value)
    return found  # type: ignore[no-any-return]


def did_you_mean(name: str, accepted: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` for the nearest accepted name, else the accepted names.

    >>> did_you_mean("fatcors", ["n_factors", "factors"])
    "; did you mean 'factors'?"
    >>> did_you_mean("zzz", ["a", "b"])
    '; accepted: a, b'
    """
    names = sorted(set(accepted))
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if near:
        return f"; did you mean '{near[0]}'?"
    return f"; accepted: {', '.join(names)}" if names else ""


@contextlib.contextmanager
def placed(key: str) -> Iterator[None]:
    """Within, what a nested part says of its options names them by its place, `key`.

    A part knows itself as the root of `key` only: as `algo`, wherever it stands.

    >>> with placed("algo.members.first"):
    ...     raise ConfigError("algo.epochs=0: ALS expects >= 1, or use algo=ease")
    Traceback (most recent call last):
    recexp.errors.ConfigError: algo.members.first.epochs=0: ALS expects >= 1, or use \
algo@algo.members.first=ease
    """
    root = key.partition(".")[0]
    try:
        yield
    except RecexpError as error:
        options = re.sub(rf"(?<![\w./]){root}(?=\.\w)", key, str(error))
        raise type(error)(re.sub(rf"(?<![\w./@]){root}=", f"{root}@{key}=", options)) from error
