"""Searches find what a plain look at every text finds."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recexp.serving.catalogue import ItemSearch, UserSearch

TEXTS = st.lists(st.text("abAB \n1é", max_size=6), max_size=12, unique=True)
SEARCH = st.text("abAB \n1é", min_size=1, max_size=3)


def live(users: list[str], n_trained: int, titles: list[str], counts: list[int]) -> Any:
    """What a search looks at: ids, of which some are new, titles and counts."""
    ids = SimpleNamespace(ids=users[:n_trained])
    histories = SimpleNamespace(users=ids, items=_Ids(users[:n_trained]), n_events=0)
    train = SimpleNamespace(item_columns={"title": tuple(titles[:n_trained])})
    model = SimpleNamespace(train=train)
    chosen = np.asarray(counts, np.float32)
    return SimpleNamespace(histories=histories, model=model, chosen=chosen)


class _Ids:
    def __init__(self, ids: list[str]) -> None:
        self.ids = ids

    def __len__(self) -> int:
        return len(self.ids)


def plain(text: str) -> str:
    return text.casefold().replace("\n", " ")


@pytest.mark.parametrize("few", [1, 1_000])
@settings(derandomize=True, max_examples=150, deadline=None)
@given(TEXTS, SEARCH, st.integers(1, 12), st.integers(0, 12))
def test_users(few: int, ids: list[str], text: str, limit: int, n_trained: int) -> None:
    known = live(ids, n_trained, [], [])
    search = UserSearch(known)
    known.histories.users.ids = ids
    begin = [n for n, one in enumerate(ids) if plain(one).startswith(plain(text))]
    within = [n for n, one in enumerate(ids) if plain(text) in plain(one) and n not in begin]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("recexp.serving.catalogue._FEW", few)
        assert search.find(text, limit) == (begin + within)[:limit]


@pytest.mark.parametrize("few", [1, 1_000])
@settings(derandomize=True, max_examples=150, deadline=None)
@given(TEXTS, TEXTS, SEARCH, st.integers(1, 12), st.integers(0, 12), st.randoms())
def test_items(
    few: int, ids: list[str], titles: list[str], text: str, limit: int, n_trained: int, random: Any
) -> None:
    titles = (titles + [""] * len(ids))[: len(ids)]
    counts = [random.randrange(5) for _ in ids]
    known = live(ids, n_trained, titles, counts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("recexp.serving.catalogue._FEW", few)
        search = ItemSearch(known)
        known.histories.items.ids = ids
        found = search.find(text, limit)
    titled = [plain(title) for title in titles[:n_trained]] + [""] * len(ids)
    matches = [
        n
        for n, one in enumerate(ids)
        if plain(text) in titled[n] or plain(one).startswith(plain(text))
    ]
    assert found == sorted(matches, key=lambda n: (-counts[n], n))[:limit]
