"""recexp: recommender-systems experiments that can be trusted, repeated and compared.

    >>> import recexp
    >>> result = recexp.run("algo=ease", "dataset=synthetic", "plots=false")
    >>> round(result.metrics["ndcg_at_10"], 3), len(result.per_user)
    (0.387, 280)
    >>> model = recexp.load(result.run_id)
    >>> model.recommend(["u001"], k=2)[["user", "item", "rank", "source"]]
       user  item  rank source
    0  u001  i066     1  model
    1  u001  i059     2  model
    >>> _ = recexp.run("algo=popularity", "dataset=synthetic", "plots=false")
    >>> comparison = recexp.compare(experiment="recexp", baseline="popularity")
    >>> print(comparison.verdict)
    No method beats the simple baselines: the best, ease, is one of them.
    >>> recexp.runs("recexp")["params.algo"].tolist()
    ['popularity', 'ease']
    >>> recexp.load_dataset("synthetic", n_users=500).n_users
    500

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
