"""Why items are recommended, for a whole list at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from recexp.algorithms.base import Explains, SimilarItems, Source
from recexp.algorithms.item_item import heaviest
from recexp.arrays import IdxArray
from recexp.fitted import chosen_by, told
from recexp.streaming.live import Answer, LiveModel

Reason: TypeAlias = dict[str, Any]
N_REASONS = 3
_MOST_ITEMS = 50
"""Of a long list the first have reasons: each may cost a system of equations."""
_REMEMBERED = 2048


class Reasons:
    """The reasons of a live model; those of users who did nothing since are remembered."""

    def __init__(self, live: LiveModel) -> None:
        self._live = live
        self._known: dict[tuple[int, int, int], list[Reason]] = {}

    def of_user(self, user: int, answer: Answer) -> list[list[Reason]]:
        """Return the reasons for each item of the answer to the user at idx `user`."""
        if answer.source is Source.FALLBACK:
            return [self._popular(item) for item in answer.items.tolist()]
        live = self._live
        if answer.source is Source.MODEL and isinstance(live.learned.recommender, Explains):
            return self._explained(live.learned.recommender, user, answer.items)
        given = live.histories.history(user, live.learned.n_items)
        return self._similar(given.indices, given.data, answer.items)

    def of_history(
        self, items: IdxArray, values: Sequence[float | None], answer: Answer
    ) -> list[list[Reason]]:
        """Return the reasons for each item of the answer to a history: idx, values or None."""
        if answer.source is Source.FALLBACK:
            return [self._popular(item) for item in answer.items.tolist()]
        given = self._live.given(items, values)
        return self._similar(given.indices, given.data, answer.items)

    def _popular(self, item: int) -> list[Reason]:
        chosen = self._live.chosen
        users = int(chosen[item]) if item < len(chosen) else 0
        return [chosen_by(users)]

    def _explained(self, recommender: Explains, user: int, items: IdxArray) -> list[list[Reason]]:
        version = self._live.learned.version
        found = []
        for item in items[:_MOST_ITEMS].tolist():
            key = (version, user, item)
            if key not in self._known:
                if len(self._known) >= _REMEMBERED:
                    self._known.clear()
                reasons = recommender.explain(user, item, N_REASONS)
                self._known[key] = [self._told(*one) for one in reasons]
            found.append(self._known[key])
        return found + [[] for _ in items[_MOST_ITEMS:]]

    def _similar(self, given: Any, values: Any, items: IdxArray) -> list[list[Reason]]:
        """The items of a history, among those that were liked, that are most like each item."""
        recommender = self._live.learned.recommender
        if not isinstance(recommender, SimilarItems):
            return []
        threshold = self._live.model.train.relevance_threshold
        liked = given if threshold is None else given[values >= threshold]
        shown = items[:_MOST_ITEMS]
        found = recommender.similarities(shown)[:, liked]
        reasons = [[self._told(*one) for one in heaviest(liked, row, N_REASONS)] for row in found]
        return reasons + [[] for _ in items[_MOST_ITEMS:]]

    def _told(self, reason: str, weight: float) -> Reason:
        titles = self._live.model.train.item_columns.get("title", ())
        return told(reason, weight, self._live.histories.items.ids, titles)
