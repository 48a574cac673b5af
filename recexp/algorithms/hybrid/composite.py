"""What all hybrids share: their members, what these can do together, and their state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from recexp.algorithms.base import (
    Explains,
    FoldIn,
    HasState,
    PartialFit,
    PredictsRatings,
    Recommender,
    SimilarItems,
    Source,
    StatesNeeds,
    StatesSource,
    check_needs,
)
from recexp.arrays import BoolArray, IdxArray, IntArray
from recexp.data.dataset import Dataset
from recexp.errors import ConfigError, placed


class Composite:
    """A recommender made of other recommenders, its members, by name.

    - Members are hyperparameters and stay as they were given: `fit` fits copies.
    - An item that a member scores -inf (never) is never recommended, wherever the member counts.
    - A member that has nothing to say of a user (`Source.FALLBACK`) does not count for him, unless
      no member has.
    - Side information must satisfy every member (`needs`).

    Learned: `members_`, the fitted copies by name; `user_counts_` and `item_counts_`, int64, the
    training interactions of each user and item.

    A capability is having its methods (see `recexp.algorithms.base`), and what a composite can do
    depends on its members. So its class has none of them: each object is given, when it is made,
    the methods of those capabilities that its members have (`_offer`).
    """

    members: Mapping[str, Recommender]

    members_: dict[str, Any]
    user_counts_: IntArray
    item_counts_: IntArray

    def __post_init__(self) -> None:
        kind = type(self).__name__
        if len(self.members) < 2:
            raise ConfigError(f"algo.members has {len(self.members)}: {kind} expects two or more")
        for name, member in self.members.items():
            if not name.isidentifier():
                raise ConfigError(f"algo.members.{name}: expected a name of letters and digits")
            if not isinstance(member, Recommender):
                raise ConfigError(f"algo.members.{name}={member!r}: expected a recommender")
        for capability in (FoldIn, PartialFit, SimilarItems, Explains, HasState):
            self._offer(capability, self.members.values())

    def _offer(self, capability: Any, where: Iterable[Recommender]) -> None:
        """Have the methods of `capability` if all the members `where` it is needed have them."""
        if all(isinstance(member, capability) for member in where):
            for method in _METHODS[capability]:
                setattr(self, method, getattr(self, f"_{method}"))

    @property
    def needs(self) -> frozenset[str]:
        stated = [member for member in self.members.values() if isinstance(member, StatesNeeds)]
        return frozenset[str]().union(*(member.needs for member in stated))

    def fit(self, train: Dataset) -> Self:
        check_needs(self, train)
        self.user_counts_ = train.interactions.user_counts()
        self.item_counts_ = train.interactions.item_counts()
        self.members_ = self._fitted_copies(train)
        return self

    def _fitted_copies(self, train: Dataset) -> dict[str, Any]:
        copies = {}
        for name, member in self.members.items():
            with placed(f"algo.members.{name}"):
                copies[name] = _copy(member).fit(train)
        return copies

    def _partial_fit(self, new: Dataset) -> Self:
        rows = new.interactions
        self.user_counts_ = _added(self.user_counts_, rows.user_counts())
        self.item_counts_ = _added(self.item_counts_, rows.item_counts())
        for name, member in self.members_.items():
            with placed(f"algo.members.{name}"):
                member.partial_fit(new)
        return self

    def _member_sources(self, users: IdxArray) -> NDArray[np.uint8]:
        """How each member answers each user, uint8 (n_members, len(users)) (see `Source`)."""
        known = self.user_counts_[users] > 0
        otherwise = np.where(known, Source.MODEL, Source.FALLBACK)
        return np.array(
            [
                member.source(users) if isinstance(member, StatesSource) else otherwise
                for member in self.members_.values()
            ],
            np.uint8,
        )

    def _speaking(self, users: IdxArray) -> BoolArray:
        """Whether each member has something to say of each user, (n_members, len(users))."""
        speaks: BoolArray = self._member_sources(users) != Source.FALLBACK
        return speaks

    def _state(self) -> dict[str, Any]:
        state: dict[str, Any] = {"user_counts": self.user_counts_, "item_counts": self.item_counts_}
        for name, member in self.members_.items():
            state |= {f"{name}/{key}": value for key, value in member.state().items()}
        return state

    def _restore(self, state: Mapping[str, Any]) -> Self:
        self.user_counts_, self.item_counts_ = state["user_counts"], state["item_counts"]
        self.members_ = {}
        for name, member in self.members.items():
            own = {
                key.removeprefix(f"{name}/"): value
                for key, value in state.items()
                if key.startswith(f"{name}/")
            }
            self.members_[name] = _copy(member).restore(own)
        return self


class Pair(Composite):
    """A composite of two members with different tasks, the first and the second as written."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.members) > 2:
            raise ConfigError(
                f"algo.members has {', '.join(self.members)}: {type(self).__name__} expects two; "
                "a member may itself be a hybrid"
            )


def _added(counts: IntArray, new: IntArray) -> IntArray:
    """`counts` of those there were plus `new` counts of all."""
    return new + np.pad(counts, (0, len(new) - len(counts)))


def _copy(member: Any) -> Any:
    """A new recommender with the hyperparameters of `member`, not fitted."""
    return replace(member)


_METHODS: Mapping[Any, tuple[str, ...]] = {
    FoldIn: ("score_histories",),
    PartialFit: ("partial_fit",),
    SimilarItems: ("similarities",),
    Explains: ("explain",),
    PredictsRatings: ("predict",),
    HasState: ("state", "restore"),
}
