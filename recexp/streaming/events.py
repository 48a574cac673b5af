"""Events: what people did after training, and what it says in the terms of a dataset."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from recexp.data.dataset import Dataset
from recexp.errors import DataError, did_you_mean

Kind: TypeAlias = Literal["view", "like", "rating", "dismiss"]
KINDS: tuple[Kind, ...] = get_args(Kind)
LONGEST_ID = 200
"""Characters of an id, of an event or of a new user or item."""
LATEST = 253_402_300_799
"""The last second of the year 9999."""


@dataclass(frozen=True, slots=True)
class Event:
    """Somebody did something.

    Attributes:
        id: whoever sends the event again sends the same id.
        user, item: ids, also such as are new.
        kind: `view`, `like`, `rating` or `dismiss`.
        value: of a rating; None of the others.
        timestamp: seconds since 1970 UTC.
    """

    id: str
    user: Any
    item: Any
    kind: Kind
    value: float | None
    timestamp: int


@dataclass(frozen=True)
class Meaning:
    """What events say in the terms of a dataset, and which it cannot take.

    On a scale of ratings, a rating is itself and a like is the best rating; a view says nothing of
    taste. Without ratings, views and likes are interactions of value 1, and there are no ratings.
    A dismissed item is nowhere learned from. Whatever the kind, the user has seen the item.
    """

    scale: tuple[float, float] | None
    whole_users: bool
    whole_items: bool

    @classmethod
    def of(cls, dataset: Dataset) -> Meaning:
        """Return what events say beside the interactions of `dataset`."""

        def whole(ids: Any) -> bool:
            return bool(ids) and isinstance(ids[0], int)

        return cls(dataset.scale, whole(dataset.users.ids), whole(dataset.items.ids))

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds of events that can be taken."""
        return tuple(kind for kind in KINDS if kind != "rating" or self.scale is not None)

    @property
    def like(self) -> float:
        """The value of a like."""
        return 1.0 if self.scale is None else float(self.scale[1])

    def value(self, event: Event) -> float | None:
        """Return the value of the interaction that `event` is, None when it is none."""
        if event.kind == "rating":
            return event.value
        if event.kind == "dismiss" or (event.kind == "view" and self.scale is not None):
            return None
        return self.like

    def check(self, event: Event) -> None:
        """Raise DataError, in one line, for an event that cannot be taken."""
        if not 0 < len(event.id) <= LONGEST_ID:
            raise DataError(f"id: expected 1 to {LONGEST_ID} characters")
        check_id(event.user, "user", whole=self.whole_users)
        check_id(event.item, "item", whole=self.whole_items)
        if event.kind not in self.kinds:
            if event.kind == "rating":
                raise DataError("kind: 'rating', but the model's data have no ratings: use 'like'")
            raise DataError(f"kind: {event.kind!r}{did_you_mean(str(event.kind), self.kinds)}")
        if event.kind != "rating":
            if event.value is not None:
                raise DataError(f"value: only a rating has one; leave it out of a '{event.kind}'")
            return
        assert self.scale is not None
        low, high = self.scale
        value = event.value
        if value is None or not math.isfinite(value) or not low <= value <= high:
            raise DataError(f"value: {value}; a rating is a number from {low:g} to {high:g}")


def check_id(id_: Any, side: str, *, whole: bool) -> None:
    """Raise DataError for what cannot be an id beside ids that are `whole` numbers, or texts."""
    if whole:
        if not isinstance(id_, int) or isinstance(id_, bool) or abs(id_) >= 2**63:
            raise DataError(f"{side}: {_shown(id_)}; the ids of {side}s are whole numbers here")
    elif not isinstance(id_, str) or not 0 < len(id_) <= LONGEST_ID:
        raise DataError(
            f"{side}: {_shown(id_)}; the ids of {side}s are texts of 1 to {LONGEST_ID} "
            "characters here"
        )


def _shown(id_: Any) -> str:
    text = repr(id_)
    return text if len(text) <= 60 else f"{text[:57]}..."
