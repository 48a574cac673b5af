"""A fitted recommender that speaks ids."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from recexp.algorithms.base import Explains, Recommender, SimilarItems, Source
from recexp.algorithms.popularity import Popularity
from recexp.arrays import Float32Array, IdxArray
from recexp.data.dataset import Dataset
from recexp.errors import ConfigError, DataError
from recexp.evaluation.recommend import recommend
from recexp.evaluation.topk import tie_order
from recexp.rng import derive
from recexp.splits.base import Split

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class FittedModel:
    """A fitted recommender with the ids of its dataset: ids in, ids out.

    `train` is what it was fitted on. A model that was loaded knows nothing of its users but their
    ids, interactions and side features. `seed` (of ties) and `candidates` are those of the run, so
    that its lists come back.
    """

    recommender: Recommender
    train: Dataset
    seed: int = 42
    candidates: Literal["all", "train"] = "all"

    def recommend(
        self, user_ids: Iterable[Any], k: int = 10, *, exclude_seen: bool = True
    ) -> pd.DataFrame:
        """Return the k best items of each user: columns user, item, rank (from 1), score, source.

        Unknown users get the most popular items (source `popularity`), as in a run.
        """
        import pandas as pd

        lists = self.lists(user_ids, k, exclude_seen=exclude_seen)
        rows, ranks = np.nonzero(lists.items >= 0)
        return pd.DataFrame(
            {
                "user": [lists.user_ids[row] for row in rows.tolist()],
                "item": self.train.items.to_ids(lists.items[rows, ranks].tolist()),
                "rank": ranks + 1,
                "score": lists.scores[rows, ranks],
                "source": [lists.sources[row] for row in rows.tolist()],
            }
        )

    def lists(
        self, user_ids: Iterable[Any], k: int = 10, *, exclude_seen: bool = True, threads: int = 1
    ) -> Lists:
        """Return the k best items of each distinct user, in the order they are asked for.

        Lists are shorter where the catalogue is. Raises ConfigError for k < 1.
        """
        if k < 1:
            raise ConfigError(f"k={k}: expected lists of at least 1 item")
        asked = list(dict.fromkeys(user_ids))
        users = self.train.users.to_idx(asked)
        k = min(k, self.train.n_items)
        shape = (len(asked), k)
        items, scores = np.full(shape, -1, np.int32), np.full(shape, -np.inf, np.float32)
        sources = np.full(len(asked), Source.FALLBACK, np.uint8)
        known = np.flatnonzero(users >= 0)
        if len(known):
            found = recommend(
                self.recommender,
                Split(self.train, self.train.interactions.select(np.empty(0, np.int64))),
                users[known],
                k,
                exclude_seen=exclude_seen,
                candidates=self.candidates,
                seed=self.seed,
                threads=threads,
            )
            row = np.searchsorted(found.lists.users, users[known])
            items[known], scores[known] = found.lists.items[row], found.lists.scores[row]
            sources[known] = found.sources[row]
        if len(known) < len(asked):
            items[users < 0], scores[users < 0] = self._most_popular(k)
        return Lists(asked, items, scores, [_source_name(one) for one in sources.tolist()])

    def reasons(self, user_id: Any, item: int, source: str, n: int = 3) -> list[dict[str, Any]]:
        """Return at most `n` reasons for recommending the item at idx `item`, heaviest first.

        Each has a `text` for people and a `weight`; beside them an `item` of the user's history
        (its id), a `term` of the item's text, or the number of `users` who chose a popular item.
        None for an algorithm that gives no reasons (`Explains`).
        """
        if source == "popularity":
            return [chosen_by(int(self._popularity[item]))]
        if not isinstance(self.recommender, Explains):
            return []
        user = int(self.train.users.to_idx([user_id])[0])
        titles = self.train.item_columns.get("title", ())
        found = self.recommender.explain(user, item, n)
        return [told(*one, self.train.items.ids, titles) for one in found]

    def title(self, item: int) -> str | None:
        """Return the title of the item at idx `item`, if it has one."""
        titles = self.train.item_columns.get("title")
        return titles[item] or None if titles is not None else None

    def similar(self, item_ids: Iterable[Any], k: int = 10) -> pd.DataFrame:
        """Return the k items most similar to each item: columns item, similar, rank, score.

        Raises ConfigError when the algorithm does not compare items, DataError for unknown ids.
        """
        import pandas as pd

        if not isinstance(self.recommender, SimilarItems):
            name = type(self.recommender).__name__
            raise ConfigError(f"{name} does not compare items; use algo=tfidf, itemknn or als")
        asked = list(item_ids)
        items = self.train.items.to_idx(asked)
        if (items < 0).any():
            unknown = [id_ for id_, idx in zip(asked, items.tolist(), strict=True) if idx < 0]
            raise DataError(f"unknown item {unknown[0]!r}; items have the ids of {self.train.name}")
        similarities = self.recommender.similarities(items).copy()
        similarities[np.arange(len(items)), items] = -np.inf
        best = np.argsort(-similarities, axis=1, kind="stable")[:, :k]
        rows = np.arange(len(items))[:, None]
        return pd.DataFrame(
            {
                "item": np.repeat(np.asarray(asked, dtype=object), best.shape[1]),
                "similar": self.train.items.to_ids(best.ravel().tolist()),
                "rank": np.tile(np.arange(1, best.shape[1] + 1), len(items)),
                "score": similarities[rows, best].ravel(),
            }
        )

    @cached_property
    def _popularity(self) -> Float32Array:
        return Popularity().fit(self.train).popularity_

    def _most_popular(self, k: int) -> tuple[IdxArray, Float32Array]:
        tie_rank = tie_order(self.train.n_items, derive(self.seed, "ties"))
        best = np.lexsort((tie_rank, -self._popularity))[:k].astype(np.int32)
        return best, self._popularity[best]


def told(reason: str, weight: float, ids: Sequence[Any], titles: Sequence[str]) -> dict[str, Any]:
    """Return a reason of `Explains.explain` in ids; `titles` may be fewer than `ids`."""
    kind, _, text = reason.partition(":")
    if kind == "item":
        item = int(text)
        title = titles[item] if item < len(titles) else ""
        return {"text": title or str(ids[item]), "weight": float(weight), "item": ids[item]}
    said = {"text": text or reason, "weight": float(weight)}
    return said | ({"term": text} if kind == "term" else {})


def chosen_by(users: int) -> dict[str, Any]:
    """Return the reason for an item that so many users chose."""
    one = "user" if users == 1 else "users"
    return {"text": f"chosen by {users:,} {one}", "weight": float(users), "users": users}


@dataclass(frozen=True, eq=False)
class Lists:
    """The lists of users, best first.

    Attributes:
        user_ids: distinct.
        items: int32 (n, k), idx; -1 where a list is shorter.
        scores: float32 (n, k); -inf there.
        sources: how each was answered: `model`, `features`, `fold_in` or `popularity`.
    """

    user_ids: list[Any]
    items: IdxArray
    scores: Float32Array
    sources: list[str]


def _source_name(source: int) -> str:
    return "popularity" if source == Source.FALLBACK else Source(source).name.lower()
