"""How a model in service follows events: what is possible, what is best, and when to fit anew."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from recexp.algorithms.base import FoldIn, PartialFit, Recommender
from recexp.errors import ConfigError, did_you_mean

Policy: TypeAlias = Literal["fold_in", "incremental", "static"]
POLICIES: tuple[Policy, ...] = get_args(Policy)


def policy_of(recommender: Recommender, wanted: str = "auto") -> Policy:
    """Return the policy that is `wanted` for an algorithm; `auto` is the first it can of

    - `fold_in` (`FoldIn`): whoever did something is answered from the whole history, exactly and
      at once, by a model that stays as it is;
    - `incremental` (`PartialFit`): the model learns the events, a moment after they came;
    - `static`: the model stays as it is; events leave out what was met, and count popularity.

    Raises ConfigError for a policy that is unknown, or that the algorithm cannot follow.
    """
    can: dict[Policy, bool] = {
        "fold_in": isinstance(recommender, FoldIn),
        "incremental": isinstance(recommender, PartialFit),
        "static": True,
    }
    if wanted == "auto":
        return next(policy for policy in POLICIES if can[policy])
    for policy in POLICIES:
        if policy == wanted:
            if can[policy]:
                return policy
            possible = ", ".join(one for one in POLICIES if can[one])
            raise ConfigError(
                f"--policy {wanted}: {type(recommender).__name__} cannot; possible: {possible}"
            )
    raise ConfigError(f"--policy {wanted}{did_you_mean(wanted, ['auto', *POLICIES])}")


def sentence(policy: Policy, recommender: Recommender, refit: RefitEvery | None) -> str:
    """Return in one sentence, for people, how a model follows events."""
    folds_in = isinstance(recommender, FoldIn)
    said = {
        "fold_in": "Each answer follows all events of its user at once, by fold-in",
        "incremental": "The model learns from events within moments"
        + (", and until then folds their users in" if folds_in else ""),
        "static": "The model stays as it was trained; what users have met is left out",
    }[policy]
    return f"{said}; it is fitted anew every {refit}." if refit else f"{said}."


@dataclass(frozen=True)
class RefitEvery:
    """When to fit anew: every so many seconds, or new interactions; one of both is None."""

    seconds: float | None = None
    n_new: int | None = None

    @classmethod
    def parse(cls, text: str) -> RefitEvery:
        """Return what a text says: `30s`, `30m`, `1h`, `1d`, or a number of interactions.

        >>> RefitEvery.parse("30m"), RefitEvery.parse("500")
        (RefitEvery(seconds=1800.0, n_new=None), RefitEvery(seconds=None, n_new=500))
        """
        found = re.fullmatch(r"(\d{1,9})([smhd]?)", text.strip())
        if not found or int(found[1]) == 0:
            raise ConfigError(f"--refit-every {text}: expected such as 30m, 1h, 1d or 500 (events)")
        number, unit = int(found[1]), found[2]
        if not unit:
            return cls(n_new=number)
        return cls(seconds=number * float(_SECONDS[unit]))

    def due(self, n_new: int, seconds: float) -> bool:
        """Return whether it is time, `seconds` after the last time and `n_new` interactions."""
        if self.n_new is not None:
            return n_new >= self.n_new
        assert self.seconds is not None
        return n_new > 0 and seconds >= self.seconds

    def __str__(self) -> str:
        if self.seconds is None:
            return f"{self.n_new:,} interactions"
        unit = next(one for one in "dhms" if self.seconds % _SECONDS[one] == 0)
        number = int(self.seconds // _SECONDS[unit])
        name = {"d": "day", "h": "hour", "m": "minute", "s": "second"}[unit]
        return name if number == 1 else f"{number:,} {name}s"


_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
