"""The page over other data than films with five stars: long numbers as ids, other scales, none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from recexp.algorithms.neighbors import ItemKNN
from recexp.algorithms.popularity import Popularity
from recexp.data.dataset import Dataset

FIRST_USER = 2**62 + 1  # a browser's own numbers end at 2**53
FIRST_ITEM = 2**61 + 1


def data_with(scale: tuple[float, float] | None) -> Dataset:
    """20 users and 15 items, without titles; every user has 8 items."""
    rng = np.random.default_rng(3)
    users = FIRST_USER + np.repeat(np.arange(20), 8)
    items = FIRST_ITEM + np.concatenate([rng.permutation(15)[:8] for _ in range(20)])
    values = None if scale is None else rng.choice([scale[0], scale[1]], len(users))
    return Dataset.from_columns("shop", users, items, values, scale=scale)


@pytest.fixture(scope="module")
def ten_points(serve: Any) -> str:
    data = data_with((1.0, 10.0))
    return str(serve({"itemknn": ItemKNN(threads=1).fit(data)}, data))


@pytest.fixture(scope="module")
def a_third(serve: Any) -> str:
    data = data_with((-1.0, 1.0 / 3))
    return str(serve({"popularity": Popularity().fit(data)}, data))


@pytest.fixture(scope="module")
def without_ratings(serve: Any) -> str:
    data = data_with(None)
    return str(serve({"itemknn": ItemKNN(threads=1).fit(data)}, data))


def options(page: Any) -> list[str]:
    """What the first rating list of the page offers."""
    found: list[str] = page.run(
        "[...document.querySelector('[data-control=rate]').options].slice(1).map(one => one.value)"
    )
    return found


def test_ids_of_64_bits_survive(page: Any, ten_points: str) -> None:
    page.visit(ten_points)
    page.find("#user-input").send_keys(str(FIRST_USER + 2))
    page.until(lambda: page.texts("#user-options .id") == [str(FIRST_USER + 2)])
    page.keys("\ue007")
    page.settled()
    title = page.text(".card h4 bdi")
    assert FIRST_ITEM <= int(title) < FIRST_ITEM + 15
    page.act("like", title)
    assert page.text("#history .deed .title") == title
    assert "9 items in the history" in page.text("#user-facts")
    assert page.run("document.querySelectorAll('.card [data-control=rate]').length") == 6


def test_ten_points_are_a_list_to_choose_from(page: Any, ten_points: str) -> None:
    page.visit(f"{ten_points}/#user={FIRST_USER + 5}")
    page.settled()
    assert options(page) == [str(value) for value in range(1, 11)]
    assert page.all("[role=radiogroup]") == []
    page.find("[data-control=rate]").send_keys("7")
    page.until(lambda: page.text("#status").startswith("Rated 7: "))
    assert page.text("#history .told") == "rated 7"


def test_an_odd_scale_is_offered_to_its_very_ends(page: Any, a_third: str) -> None:
    page.visit(f"{a_third}/#user={FIRST_USER + 5}")
    page.settled()
    offered = [float(value) for value in options(page)]
    assert len(offered) == 11
    assert (offered[0], offered[-1]) == (-1.0, 1 / 3)
    assert offered == sorted(offered)
    page.find("[data-control=rate]").send_keys("0.333")
    page.until(lambda: page.text("#status").startswith("Rated 0.333"))


def test_without_ratings_there_is_nothing_to_rate(page: Any, without_ratings: str) -> None:
    page.visit(without_ratings)
    page.until(lambda: page.all("#some-users button"))
    page.find("#start-new").click()
    page.settled()
    assert page.text("#user-id").isdecimal()
    assert page.all(".stars, [data-control=rate]") == []
    assert page.all("#model, #compare") == []
    page.act("like", page.text(".card h4 bdi"))
    assert "mean" not in page.text("#user-facts")
    assert page.text("#history .told") == "liked"
    assert page.text("#tastes") == "None yet."
    assert page.text(".source") == "from your history, folded in"
