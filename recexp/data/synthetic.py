"""Data with a planted structure: for tests, for benchmarks, and for machines without a network."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from recexp.arrays import FloatArray, IntArray
from recexp.data.dataset import Dataset
from recexp.data.features import multi_hot, one_hot
from recexp.data.ids import IdMap
from recexp.errors import ConfigError
from recexp.rng import derive

START = int(datetime(2020, 1, 1, tzinfo=UTC).timestamp())
SPAN = 2 * 365 * 24 * 3600
COLD_SPAN = 0.1
"""Cold users and items come in this last share of the time."""
PERIODS = 8
"""Tastes differ from one of these to the next."""
# fmt: off
GENRES = np.array([
    "Action", "Comedy", "Drama", "Horror", "Romance", "Science", "Thriller", "Western",
    "Animation", "Crime", "Documentary", "Fantasy", "History", "Music", "Mystery", "War",
])
# fmt: on


def make_synthetic(
    n_users: int = 300,
    n_items: int = 200,
    n_interactions: int = 10_000,
    n_groups: int = 5,
    n_genres: int = 8,
    popularity_skew: float = 0.8,
    drift: float = 0.4,
    noise: float = 0.6,
    cold_share: float = 0.05,
    seed: int = 42,
) -> Dataset:
    """Return ratings 1-5 with timestamps over two years, the same for the same options.

    What is planted, and so can be found: users belong to groups with tastes in genres, which decide
    both what they pick and how they rate; items have one or two genres and a popularity of
    rank^-popularity_skew; tastes shift over time by `drift`; a rating adds the user's bias, the
    item's quality and normal `noise` (all in stars). Nobody acts before his arrival, nothing is
    rated before its release, and the share `cold_share` of the users and of the items comes in the
    last tenth of the time only.

    Genres are the item features, the group (`segment`) the user features. A pair occurs once.
    Users and items that no draw hit are left out: few, unless `n_interactions` is small.

    Raises ConfigError for sizes that do not fit together.
    """
    most = n_users * n_items // 4
    _require("n_interactions", n_interactions, 1, most, "at most a quarter of all pairs")
    _require("n_groups", n_groups, 1, n_users, "at most n_users")
    _require("n_genres", n_genres, 1, min(len(GENRES), n_items), "one of the names there are")
    _require("cold_share", cold_share, 0, 0.5, "a share")
    rng = derive(seed, "synthetic")

    group = rng.integers(n_groups, size=n_users)
    genre, second = rng.integers(n_genres, size=(2, n_items))
    second = np.where(rng.random(n_items) < 0.5, second, genre)
    now = np.linspace(-1, 1, PERIODS)[:, None, None]
    size = (n_groups, n_genres)
    taste = rng.normal(size=size) + now * drift * rng.normal(size=size)

    user, item, time = _draw(n_interactions, group, genre, taste, popularity_skew, cold_share, rng)
    period = _period(time)
    stars = 3.3 + 0.4 * (
        taste[period, group[user], genre[item]] + taste[period, group[user], second[item]]
    )
    stars += rng.normal(0, 0.4, n_users)[user] + rng.normal(0, 0.4, n_items)[item]
    stars += rng.normal(0, noise, n_interactions)

    dataset = Dataset.from_indices(
        "synthetic",
        _ids("u", n_users),
        user,
        _ids("i", n_items),
        item,
        np.clip(np.rint(stars), 1, 5),
        START + (time * SPAN).astype(np.int64),
        scale=(1.0, 5.0),
        facts={"source": "synthetic", "seed": seed},
    )
    both = [GENRES[sorted({*pair})].tolist() for pair in zip(genre, second, strict=True)]
    titles = [f"{name} Story {number}" for number, name in enumerate(GENRES[genre], start=1)]
    segments = [f"s{number + 1}" for number in group.tolist()]
    described = replace(
        dataset,
        item_columns={"title": tuple(titles), "genres": tuple(map("|".join, both))},
        user_columns={"segment": tuple(segments)},
        item_features=multi_hot(both, "genre"),
        user_features=one_hot(segments, "segment"),
    )
    return described.compact(np.ones(n_interactions, bool))


def _draw(
    n: int,
    group: IntArray,
    genre: IntArray,
    taste: FloatArray,
    popularity_skew: float,
    cold_share: float,
    rng: np.random.Generator,
) -> tuple[IntArray, IntArray, FloatArray]:
    """Return `n` distinct pairs (user, item) and their times 0..1.

    A draw is a user by activity, a moment of his presence, a genre by the taste of his group at
    that moment, and an item by popularity among those of the genre that are out by then.
    """
    n_users, n_items = len(group), len(genre)
    _, n_groups, n_genres = taste.shape
    arrival = _arrivals(n_users, cold_share, rng)
    activity = _cumulative(rng.lognormal(0, 0.6, n_users))
    odds = _cumulative(np.exp(1.5 * taste).ravel())

    release = _arrivals(n_items, cold_share, rng)
    popularity = np.power(1.0 + rng.permutation(n_items), -popularity_skew)
    shelf = np.lexsort((release, genre))
    out = (genre + release)[shelf]  # ascending: release is below 1
    weights = _cumulative(popularity[shelf])

    pairs, times = np.empty(0, np.int64), np.empty(0)
    while len(pairs) < n:
        size = int(1.4 * (n - len(pairs))) + 1000  # some draws repeat a pair or find nothing
        user = _pick(activity, np.zeros(size, np.int64), np.full(size, n_users), rng)
        time = rng.uniform(arrival[user], 1)
        row = (_period(time) * n_groups + group[user]) * n_genres
        wanted = _pick(odds, row, row + n_genres, rng) - row
        first, last = np.searchsorted(out, wanted), np.searchsorted(out, wanted + time, "right")
        found = first < last
        item = shelf[_pick(weights, first[found], last[found], rng)]
        pairs = np.append(pairs, user[found] * n_items + item)
        times = np.append(times, time[found])
        _, kept = np.unique(pairs, return_index=True)
        kept = np.sort(kept)[:n]
        pairs, times = pairs[kept], times[kept]
    return pairs // n_items, pairs % n_items, times


def _cumulative(weights: FloatArray) -> FloatArray:
    return np.append(0.0, np.cumsum(weights))


def _pick(
    cumulative: FloatArray, first: IntArray, last: IntArray, rng: np.random.Generator
) -> IntArray:
    """Return for each a position in first..last-1, by weight."""
    low, high = cumulative[first], cumulative[last]
    at = np.searchsorted(cumulative, low + rng.random(len(first)) * (high - low), "right") - 1
    return np.minimum(at, last - 1)


def _arrivals(size: int, cold_share: float, rng: np.random.Generator) -> FloatArray:
    """When each comes, 0..1: a third at the start, the cold ones at the end, the rest between."""
    arrival = np.maximum(0, rng.uniform(-0.5, 1, size) * (1 - COLD_SPAN))
    cold = rng.permutation(size)[: round(cold_share * size)]
    arrival[cold] = rng.uniform(1 - COLD_SPAN, 1, len(cold))
    return arrival


def _period(time: FloatArray) -> IntArray:
    return (time * PERIODS).astype(np.int64)


def _ids(letter: str, size: int) -> IdMap:
    digits = len(str(size))
    return IdMap([f"{letter}{number:0{digits}}" for number in range(1, size + 1)])


def _require(name: str, value: float, low: float, high: float, why: str) -> None:
    if not low <= value <= high:
        raise ConfigError(f"dataset.{name}={value}: expected {low} to {high} ({why})")
