"""recexp: recommender-systems experiments that can be trusted, repeated and compared.

    >>> import recexp                                               # doctest: +SKIP
    >>> result = recexp.run("algo=lightfm", "dataset=movielens")    # doctest: +SKIP
    >>> result.metrics["ndcg_at_10"], result.run_id                 # doctest: +SKIP

The names below load when they are first used; `import recexp` itself loads nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = ["Result", "compare", "load", "load_dataset", "run", "runs"]

if TYPE_CHECKING:
    from recexp.comparison import compare
    from recexp.experiment import Result, run
    from recexp.library import load_dataset
    from recexp.tracking.store import load, runs

_HOMES = {
    "compare": "recexp.comparison",
    "run": "recexp.experiment",
    "Result": "recexp.experiment",
    "load_dataset": "recexp.library",
    "load": "recexp.tracking.store",
    "runs": "recexp.tracking.store",
}


def __getattr__(name: str) -> object:
    """Load a public name from its home, at first use (PEP 562)."""
    import importlib

    if name not in _HOMES:
        raise AttributeError(f"module 'recexp' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
