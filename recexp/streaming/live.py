"""A fitted model that takes events: its answers follow them, and it can learn from them."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from recexp.algorithms.base import (
    FoldIn,
    PartialFit,
    Recommender,
    SimilarItems,
    Source,
    StatesSource,
)
from recexp.algorithms.popularity import Popularity
from recexp.arrays import BoolArray, Float32Array, IdxArray, Sparse
from recexp.errors import ConfigError, DataError
from recexp.evaluation.topk import best_of, tie_order
from recexp.fitted import FittedModel
from recexp.rng import derive
from recexp.streaming.events import Event
from recexp.streaming.histories import Histories, history


@dataclass(frozen=True, eq=False)
class Learned:
    """What answers: a fitted recommender, and how far it has come.

    Attributes:
        recommender: knows users and items below `n_users` and `n_items`.
        n_new: how many of the interactions since training it has learned.
        version: 1 for the model of the run, one more with every later one.
    """

    recommender: Recommender
    n_users: int
    n_items: int
    n_new: int = 0
    version: int = 1


@dataclass(frozen=True, eq=False)
class Answer:
    """A list for one user, best first.

    Attributes:
        items: int32 (n,), idx, n <= k.
        scores: float32 (n,).
        source: how it was made; FEATURES counts as MODEL, FALLBACK is popularity.
    """

    items: IdxArray
    scores: Float32Array
    source: Source


class LiveModel:
    """A fitted model, the histories of its users, and what it has learned since.

    An answer sees every event that was taken before it was asked for:

    - items that the user has met, in training or since, are left out (`exclude_seen`);
    - a user with interactions that the model has not learned is folded in with his whole history,
      where the algorithm can (`folds_in`); also users who are new;
    - whoever the algorithm has nothing to say of gets the most popular items, counted live.

    What is learned is replaced as a whole (`adopt`) by one assignment, so answers may be asked for
    while another thread or process learns (`taught`). Events are taken, answers given and models
    adopted by one thread.
    """

    def __init__(self, model: FittedModel, *, folds_in: bool = True) -> None:
        self.model = model
        self.folds_in = folds_in and isinstance(model.recommender, FoldIn)
        self.histories = Histories(model.train)
        self.learned = Learned(model.recommender, model.train.n_users, model.train.n_items)
        self._popularity = _Counts(Popularity().fit(model.train).popularity_)
        self._trained = model.train.interactions.item_counts() > 0
        self._ties = _Ties(model.train.n_items, model.seed)

    # -- events

    def take(self, events: Iterable[Event]) -> None:
        """Take events, checked before (`histories.meaning.check`), in the order they came."""
        for event in events:
            chosen = self.histories.take(event)
            item = int(self.histories.items.to_idx([event.item])[0])
            if item < len(self._trained) and self.histories.meaning.value(event) is not None:
                self._trained[item] = True
            if chosen:
                self._popularity.add(item)

    @property
    def chosen(self) -> Float32Array:
        """How many users chose each item, in training and since, float32 (n,), n <= n_items."""
        return self._popularity.values

    # -- learning

    @property
    def n_pending(self) -> int:
        """The number of interactions since training that are not learned yet."""
        return self.histories.n_new - self.learned.n_new

    def taught(self) -> Learned:
        """Return what has learned the pending interactions too, by `partial_fit`.

        The model in use is left as it is. Raises ConfigError when the algorithm cannot.
        """
        now = self.learned
        if not isinstance(now.recommender, PartialFit):
            name = type(now.recommender).__name__
            raise ConfigError(f"{name} cannot learn from single events; let it be fitted anew")
        new = self.histories.new(now.n_new)
        recommender = copy.deepcopy(now.recommender).partial_fit(new)
        n_new = now.n_new + len(new.interactions)
        return Learned(recommender, new.n_users, new.n_items, n_new, now.version + 1)

    def refitted(self) -> Learned:
        """Return a model fitted anew on training and everything since."""
        now = self.learned
        n_new = self.histories.n_new
        whole = self.histories.whole()
        unfitted: Any = replace(self.model.recommender)  # type: ignore[type-var]
        recommender = unfitted.fit(whole)
        return Learned(recommender, whole.n_users, whole.n_items, n_new, now.version + 1)

    def adopt(self, learned: Learned) -> None:
        """Let `learned` answer from now on."""
        self.learned = learned

    # -- answers

    def recommend(
        self,
        user: Any,
        k: int,
        *,
        exclude_seen: bool = True,
        allowed: BoolArray | None = None,
    ) -> Answer:
        """Return the k best items of a user by id; fewer where there are fewer.

        `allowed` is bool (n,), n <= the number of items: what may be listed, among those. Raises
        DataError for a user of whom nothing was ever heard.
        """
        at = int(self.histories.users.to_idx([user])[0])
        if at < 0:
            raise DataError(f"no user {user!r} is known; send a history, or an event of that user")
        seen = self.histories.seen(at) if exclude_seen else _NOTHING
        return self._best(*self._scores(at), k, seen, allowed)

    def recommend_to(
        self,
        items: Sequence[Any],
        values: Sequence[float | None],
        k: int,
        *,
        exclude_seen: bool = True,
        allowed: BoolArray | None = None,
    ) -> Answer:
        """Return the k best items for a history that is not kept: ids, and values or None (like).

        Raises DataError for items that are unknown.
        """
        at = self.histories.items.to_idx(items)
        if (at < 0).any():
            unknown = [id_ for id_, idx in zip(items, at.tolist(), strict=True) if idx < 0]
            raise DataError(f"unknown items in the history: {', '.join(map(repr, unknown[:5]))}")
        given = self.given(at, values)
        excluded = at if exclude_seen else _NOTHING
        folded = self._folded_in(given)
        if folded is None:
            return self._best(self._popularity.values, Source.FALLBACK, k, excluded, allowed)
        return self._best(folded, Source.FOLD_IN, k, excluded, allowed)

    def given(self, items: IdxArray, values: Sequence[float | None]) -> Sparse:
        """Return a history that is not kept as csr (1, n_items): idx, and values or None (like)."""
        like = self.histories.meaning.like
        filled = np.asarray([like if one is None else one for one in values], np.float32)
        explicit = self.model.train.explicit
        return history(items, filled, self.learned.n_items, explicit=explicit)

    def similar(self, item: Any, k: int) -> Answer:
        """Return the k items most similar to an item by id.

        Raises ConfigError when the algorithm does not compare items, DataError for an item that is
        unknown, or so new that nothing is learned of it.
        """
        learned = self.learned
        if not isinstance(learned.recommender, SimilarItems):
            name = type(learned.recommender).__name__
            raise ConfigError(f"{name} does not compare items; use algo=tfidf, itemknn or als")
        at = int(self.histories.items.to_idx([item])[0])
        if at < 0:
            raise DataError(f"no item {item!r} is known")
        if at >= learned.n_items:
            raise DataError(f"item {item!r} is new, and nothing is learned of it yet")
        scores = learned.recommender.similarities(np.array([at], np.int32))[0]
        return self._best(scores, Source.MODEL, k, np.array([at], np.int32), None)

    def _scores(self, user: int) -> tuple[Float32Array, Source]:
        learned = self.learned
        if self.folds_in and self.histories.pending(user, learned.n_new):
            folded = self._folded_in(self.histories.history(user, learned.n_items))
            if folded is not None:
                return folded, Source.FOLD_IN
        source = self._source(user)
        if source is Source.FALLBACK:
            return self._popularity.values, source
        return learned.recommender.score(np.array([user], np.int32))[0], source

    def _source(self, user: int) -> Source:
        learned = self.learned
        if user >= learned.n_users:
            return Source.FALLBACK
        if isinstance(learned.recommender, StatesSource):
            return Source(int(learned.recommender.source(np.array([user], np.int32))[0]))
        known = self.histories.known(user, learned.n_new)
        return Source.MODEL if known else Source.FALLBACK

    def _folded_in(self, given: Sparse) -> Float32Array | None:
        """The scores of a history, or None where the algorithm can make nothing of it."""
        recommender = self.learned.recommender
        if not isinstance(recommender, FoldIn) or not given.nnz:
            return None
        scores = recommender.score_histories(given)[0]
        tells_apart = not scores.max() <= scores.min()
        return scores if tells_apart else None

    def _best(
        self,
        scores: Float32Array,
        source: Source,
        k: int,
        excluded: IdxArray,
        allowed: BoolArray | None,
    ) -> Answer:
        scores = scores.copy()
        scores[excluded[excluded < len(scores)]] = -np.inf
        if self.model.candidates == "train" and source is not Source.FALLBACK:
            n = min(len(self._trained), len(scores))
            scores[:n][~self._trained[:n]] = -np.inf
        if allowed is not None:
            n = min(len(allowed), len(scores))
            scores[:n][~allowed[:n]] = -np.inf
            scores[n:] = -np.inf
        items, best = best_of(scores, min(k, len(scores)), self._ties.ranks(len(scores)))
        return Answer(items, best, source)


class _Counts:
    """How many users chose each item, float32; grows."""

    def __init__(self, counts: Float32Array) -> None:
        self.values = counts.copy()

    def add(self, item: int) -> None:
        if item >= len(self.values):
            self.values = np.append(self.values, np.zeros(item + 1 - len(self.values), np.float32))
        self.values[item] += 1


class _Ties:
    """The order of items with equal scores: the run's, and after its items the new ones."""

    def __init__(self, n_items: int, seed: int) -> None:
        self._ranks = tie_order(n_items, derive(seed, "ties"))

    def ranks(self, n: int) -> IdxArray:
        have = len(self._ranks)
        if n > have:
            self._ranks = np.append(self._ranks, np.arange(have, n, dtype=np.int32))
        return self._ranks[:n]


_NOTHING = np.empty(0, np.int32)
