"""How a model follows a stream that is replayed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from recexp.algorithms.base import FoldIn, PartialFit, Recommender
from recexp.errors import ConfigError

PolicyName: TypeAlias = Literal["static", "fold_in", "incremental", "refit"]
POLICIES: tuple[PolicyName, ...] = get_args(PolicyName)


@dataclass(frozen=True)
class Policy:
    """How a model follows a stream.

    - `static`: it stays as it is.
    - `fold_in`: users are answered by their whole histories, what was learned of items stays.
    - `incremental`: `partial_fit` after every `update_every` events; what lies between is folded
      in, where the algorithm can.
    - `refit`: it is fitted anew every `refit_every` seconds of the stream, and knows nothing of
      what happened since: a system that learns overnight. `refit_every` beside `fold_in` or
      `incremental` does both.

    Refits come at whole multiples of `refit_every` since 1970 UTC: those of a day at midnight.

    Attributes:
        delay: seconds after which an event can be learned from.
    """

    name: PolicyName
    update_every: int = 1
    refit_every: int | None = None
    delay: int = 0

    def __post_init__(self) -> None:
        if self.name == "static" and self.refit_every is not None:
            raise ConfigError("policy=static never learns: leave out refit_every, or policy=refit")
        if self.name == "refit" and self.refit_every is None:
            raise ConfigError("policy=refit needs refit_every, such as refit_every=1d")
        if self.name != "incremental" and self.update_every != 1:
            raise ConfigError(f"policy={self.name} has no updates: leave out update_every")

    def check(self, recommender: Recommender) -> None:
        """Raise ConfigError, which names what it can, for an algorithm that cannot follow so."""
        can = policies_of(recommender)
        if self.name not in can:
            lacks = "fold users in" if self.name == "fold_in" else "learn from single events"
            raise ConfigError(
                f"policy={self.name}: {type(recommender).__name__} cannot {lacks}; "
                f"it can follow by policy={' | '.join(can)}"
            )


def policies_of(recommender: Recommender) -> tuple[PolicyName, ...]:
    """Return the policies by which an algorithm can follow a stream."""
    cannot = {
        "fold_in": not isinstance(recommender, FoldIn),
        "incremental": not isinstance(recommender, PartialFit),
    }
    return tuple(name for name in POLICIES if not cannot.get(name, False))
