"""What every user did: in training, and since."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from recexp.arrays import AnyArray, Float32Array, IdxArray, IntArray, Sparse
from recexp.data.dataset import Dataset, Features, canonical_order
from recexp.data.ids import IdMap
from recexp.data.interactions import Interactions
from recexp.streaming.events import Event, Kind, Meaning


@dataclass(frozen=True, slots=True)
class Deed:
    """Something that a user did since training; `value` is None where nothing is learned of it."""

    item: int
    kind: Kind
    value: float | None
    timestamp: int


@dataclass(slots=True)
class _Since:
    """A user since training."""

    deeds: list[Deed] = field(default_factory=list)
    met: dict[int, None] = field(default_factory=dict)
    """The items of the deeds, each once."""
    values: dict[int, float] = field(default_factory=dict)
    """Of each item with a value: the last rating, or without ratings the sum."""
    chosen: set[int] = field(default_factory=set)
    """The items first chosen here: with a positive value."""
    first: int = 0
    last: int = 0
    """How many interactions there were, of all users, after the first and last of this one."""


class Histories:
    """The users' interactions, of training and of the events taken since; only ever more.

    Users and items that are new get the next idx, so what is learned of the others stays where it
    is. Events are taken by one thread; what is asked of a number of interactions that was there
    before stays the same while others come.
    """

    def __init__(self, train: Dataset) -> None:
        self.train = train
        self.meaning = Meaning.of(train)
        self.users, self.items = IdMap(train.users.ids), IdMap(train.items.ids)
        self.n_events = 0
        self._begins = np.concatenate([[0], np.cumsum(train.interactions.user_counts())])
        self._since: dict[int, _Since] = {}
        self._user_idx: list[int] = []
        self._item_idx: list[int] = []
        self._values: list[float] = []
        self._times: list[int] = []
        self._grown_train = train
        self._seen: dict[int, list[int]] = {}

    @property
    def n_new(self) -> int:
        """The number of interactions since training: events that have a value."""
        return len(self._times)  # the last that `take` adds to, for other threads may ask

    def take(self, event: Event) -> bool:
        """Add an event, which must be such as `meaning.check` lets pass.

        Returns whether the user chose the item, and for the first time: the value is positive.
        """
        user, item = int(self.users.add([event.user])[0]), int(self.items.add([event.item])[0])
        value = self.meaning.value(event)
        since = self._since.setdefault(user, _Since())
        chosen = value is not None and self._positive(value) and not self._chose(user, item, since)
        since.deeds.append(Deed(item, event.kind, value, event.timestamp))
        since.met[item] = None
        self.n_events += 1
        if value is not None:
            before = 0.0 if self.train.explicit else since.values.get(item, 0.0)
            since.values[item] = before + value
            self._user_idx.append(user)
            self._item_idx.append(item)
            self._values.append(value)
            self._times.append(event.timestamp)
            if chosen:
                since.chosen.add(item)
            since.last = self.n_new
            since.first = since.first or since.last
        return chosen

    def see(self, user: Any, item: Any) -> tuple[int, int]:
        """Note that a user has met an item, by their ids, and nothing else; return their idx.

        For what must not be listed again, but is not to be learned from yet.
        """
        idx = int(self.users.add([user])[0]), int(self.items.add([item])[0])
        self._seen.setdefault(idx[0], []).append(idx[1])
        return idx

    def deeds(self, user: int) -> Sequence[Deed]:
        """Return what the user at idx `user` did since training, in the order it came."""
        since = self._since.get(user)
        return since.deeds if since else ()

    def pending(self, user: int, n_learned: int) -> bool:
        """Return whether the user has interactions beyond the first `n_learned` since training."""
        since = self._since.get(user)
        return since is not None and since.last > n_learned

    def known(self, user: int, n_learned: int) -> bool:
        """Return whether a user is in training or the first `n_learned` interactions since."""
        since = self._since.get(user)
        learned = since is not None and 0 < since.first <= n_learned
        rows = self.trained(user)
        return learned or rows.start < rows.stop

    def trained(self, user: int) -> slice:
        """Return where the rows of a user lie in the training interactions."""
        if user >= self.train.n_users:
            return slice(0, 0)
        return slice(int(self._begins[user]), int(self._begins[user + 1]))

    def seen(self, user: int) -> IdxArray:
        """Return the items that the user at idx `user` has met, with whatever result, int32."""
        items = self.train.interactions.item_idx[self.trained(user)]
        since = self._since.get(user)
        others = [*(since.met if since else ()), *self._seen.get(user, ())]
        return np.append(items, np.asarray(others, np.int32)) if others else items

    def history(self, user: int, n_items: int) -> Sparse:
        """Return the interactions of a user with the first `n_items` items, csr (1, n_items).

        Of several ratings of an item the last one stands; without ratings they add up.
        """
        rows = self.trained(user)
        whole = self.train.interactions
        items, values = whole.item_idx[rows], whole.value[rows]
        since = self._since.get(user)
        if since is not None and since.values:
            items = np.append(items, np.fromiter(since.values, np.int32))
            values = np.append(values, np.fromiter(since.values.values(), np.float32))
        return history(items, values, n_items, explicit=self.train.explicit)

    def new(self, start: int = 0, stop: int | None = None) -> Dataset:
        """Return the interactions since training from number `start` on, before `stop`."""
        rows = slice(start, self.n_new if stop is None else stop)
        return self._grown(
            np.asarray(self._user_idx[rows], np.int32),
            np.asarray(self._item_idx[rows], np.int32),
            np.asarray(self._values[rows], np.float32),
            np.asarray(self._times[rows], np.int64),
        )

    def whole(self) -> Dataset:
        """Return all interactions, of training and since.

        Of several ratings of a user for an item the last one stands.
        """
        old, new = self.train.interactions, self.new().interactions
        columns = [
            np.append(getattr(old, name), getattr(new, name))
            for name in ("user_idx", "item_idx", "value")
        ]
        times = None
        if old.timestamp is not None and new.timestamp is not None:
            times = np.append(old.timestamp, new.timestamp)
        if self.train.explicit:
            pairs = columns[0] * np.int64(len(self.items)) + columns[1]
            _, last = np.unique(pairs[::-1], return_index=True)
            kept = len(pairs) - 1 - last
            columns = [column[kept] for column in columns]
            times = None if times is None else times[kept]
        users, items, values = columns
        return self._grown(users, items, values, times)

    def grown(self) -> Dataset:
        """Return the training dataset with all users and items that there are now."""
        n_users, n_items = len(self.users), len(self.items)
        known = self._grown_train
        if (known.n_users, known.n_items) != (n_users, n_items):
            known = replace(
                self.train,
                interactions=replace(self.train.interactions, n_users=n_users, n_items=n_items),
                users=IdMap(self.users.ids[:n_users]),
                items=IdMap(self.items.ids[:n_items]),
                user_features=_more_rows(self.train.user_features, n_users),
                item_features=_more_rows(self.train.item_features, n_items),
                user_columns=_more_texts(self.train.user_columns, n_users),
                item_columns=_more_texts(self.train.item_columns, n_items),
            )
            self._grown_train = known
        return known

    def _grown(
        self, users: IdxArray, items: IdxArray, values: Float32Array, times: IntArray | None
    ) -> Dataset:
        """The training dataset with other interactions, of all users and items there are now."""
        if self.train.interactions.timestamp is None:
            times = None
        everybody = self.grown()  # at once: others may come meanwhile
        n_users, n_items = everybody.n_users, everybody.n_items
        order = canonical_order(users, items, times, values, n_items)
        interactions = Interactions(
            users[order],
            items[order],
            values[order],
            None if times is None else times[order],
            n_users,
            n_items,
        )
        return everybody.with_interactions(interactions)

    def _positive(self, value: float) -> bool:
        threshold = self.train.relevance_threshold if self.train.explicit else None
        return threshold is None or bool(value >= np.float32(threshold))

    def _chose(self, user: int, item: int, since: _Since) -> bool:
        if item in since.chosen:
            return True
        rows, whole = self.trained(user), self.train.interactions
        return any(map(self._positive, whole.value[rows][whole.item_idx[rows] == item]))


def history(items: AnyArray, values: AnyArray, n_items: int, *, explicit: bool) -> Sparse:
    """Return parallel columns of one history as csr (1, n_items), float32.

    Items from `n_items` on are left out. Of several ratings (`explicit`) of an item the last one
    stands; other values add up.
    """
    from scipy.sparse import csr_array

    known = items < n_items
    items, values = items[known], values[known]
    distinct, place = np.unique(items, return_inverse=True)
    if explicit:
        found = np.zeros(len(distinct), np.float32)
        found[place] = values  # of several, NumPy keeps the last
    else:
        found = np.bincount(place, values, len(distinct)).astype(np.float32)
    row = (found, distinct.astype(np.int32), np.array([0, len(distinct)], np.int32))
    return csr_array(row, shape=(1, n_items))


def _more_rows(features: Features | None, n: int) -> Features | None:
    """Features with empty rows appended up to `n`."""
    if features is None:
        return None
    matrix = features.matrix.copy()
    matrix.resize((n, matrix.shape[1]))
    return Features(matrix, features.names)


def _more_texts(columns: Any, n: int) -> dict[str, tuple[str, ...]]:
    return {name: (*column, *[""] * (n - len(column))) for name, column in columns.items()}
