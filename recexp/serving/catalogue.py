"""Finding users by their ids, and items by their titles, as they are typed."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate, islice
from typing import Any

import numpy as np

from recexp.arrays import IntArray
from recexp.streaming.live import LiveModel

_BREAK = "\n"
_FEW = 1_000


class UserSearch:
    """Finds users by the text of their ids; also those that are new."""

    def __init__(self, live: LiveModel) -> None:
        self._live = live
        self._texts = _Texts([str(one) for one in live.histories.users.ids])

    def find(self, text: str, limit: int) -> list[int]:
        """Return idx of users whose ids begin with `text`, then of those that contain it."""
        ids = self._live.histories.users.ids
        self._texts = self._texts.with_many_new(ids)
        if not text:
            return list(range(min(limit, len(ids))))
        begin = self._texts.beginning(text, limit)
        within = self._texts.containing(text, limit + len(begin))
        for user in range(len(self._texts), len(ids)):
            found = _plain(str(ids[user])).find(_plain(text))
            if found >= 0:
                (within if found else begin).append(user)
        return list(dict.fromkeys(begin + within))[:limit]


class ItemSearch:
    """Finds items by title or id, the most popular first; also those that are new."""

    def __init__(self, live: LiveModel) -> None:
        self._live = live
        ids = live.histories.items.ids
        titles = live.model.train.item_columns.get("title", ())
        self._titles = [_plain(title) for title in titles]
        self._title_texts, self._id_texts = _Texts(titles), _Texts([str(one) for one in ids])
        self._known: tuple[int, IntArray] = (-1, np.empty(0, np.int64))

    def find(self, text: str, limit: int) -> list[int]:
        """Return idx of items whose title contains `text`, or whose id begins with it."""
        counts = self._counts()
        order: list[int]
        if not text:
            order = np.argsort(-counts, kind="stable")[:limit].tolist()
            return order
        self._id_texts = self._id_texts.with_many_new(self._live.histories.items.ids)
        found = self._title_texts.containing(text, _FEW) + self._id_texts.beginning(text, _FEW)
        if len(found) >= _FEW:
            # So many match that those wanted are soon found among the most popular.
            order = np.argsort(-counts, kind="stable").tolist()
            return list(islice((item for item in order if self._matches(item, text)), limit))
        n_items = len(self._live.histories.items)
        found += [item for item in range(len(self._id_texts), n_items) if self._matches(item, text)]
        return sorted(set(found), key=lambda item: (-counts[item], item))[:limit]

    def _matches(self, item: int, text: str) -> bool:
        text = _plain(text)
        if item < len(self._titles) and text in self._titles[item]:
            return True
        return _plain(str(self._live.histories.items.ids[item])).startswith(text)

    def _counts(self) -> IntArray:
        """How many users chose each item; worked out when there were events."""
        n_events, counts = self._known
        if n_events != self._live.histories.n_events:
            chosen = self._live.chosen
            counts = np.zeros(len(self._live.histories.items), np.int64)
            counts[: len(chosen)] = chosen
            self._known = self._live.histories.n_events, counts
        return counts


class _Texts:
    """Texts as one, so that a search among a million of them takes a millisecond."""

    def __init__(self, texts: Sequence[str]) -> None:
        lines = [_plain(one) for one in texts]
        self._whole = _BREAK + _BREAK.join(lines) + _BREAK
        self._starts = list(accumulate((len(one) + 1 for one in lines), initial=1))[:-1]

    def __len__(self) -> int:
        return len(self._starts)

    def with_many_new(self, ids: Sequence[Any]) -> _Texts:
        """Return the texts of all `ids` where many came since, which are looked at one by one."""
        many = len(ids) - len(self) > _FEW + len(self) // 4
        return _Texts([str(one) for one in ids]) if many else self

    def beginning(self, text: str, limit: int) -> list[int]:
        """Return the first `limit` texts that begin with `text`."""
        return self._found(_BREAK + _plain(text), 1, limit)

    def containing(self, text: str, limit: int) -> list[int]:
        """Return the first `limit` texts that contain `text`."""
        return self._found(_plain(text), 0, limit)

    def _found(self, sought: str, offset: int, limit: int) -> list[int]:
        found: list[int] = []
        at = self._whole.find(sought) if self._starts else -1
        while at >= 0 and len(found) < limit:
            found.append(bisect_right(self._starts, at + offset) - 1)
            at = self._whole.find(sought, self._whole.find(_BREAK, at + offset))
        return found


def _plain(text: str) -> str:
    return text.casefold().replace(_BREAK, " ")
