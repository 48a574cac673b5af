"""The errors a user can mend, and the search for the name that was meant.

Every message is one line: what was found, what was expected, what to do. The command line prints
it without a traceback and exits with code 2.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class RecexpError(Exception):
    """A mistake or a state of the world that the user can mend; the message says how."""


class ConfigError(RecexpError):
    """A wrong override, option, hyperparameter or combination of them."""


class DataError(RecexpError):
    """Data that is missing, broken, or unfit for what was asked of it."""


class StorageError(RecexpError):
    """A cache, output folder or tracking store that cannot be read or written."""


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
