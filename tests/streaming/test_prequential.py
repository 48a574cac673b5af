"""Test, then learn: hand-made streams whose answers are worked out on paper."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from recexp.algorithms.base import Source
from recexp.algorithms.ease import EASE
from recexp.algorithms.implicit import ALS
from recexp.algorithms.neighbors import ItemKNN, UserKNN
from recexp.algorithms.popularity import Popularity
from recexp.data.dataset import Dataset
from recexp.data.interactions import Interactions
from recexp.errors import ConfigError, DataError
from recexp.evaluation.metrics import select
from recexp.evaluation.topk import tie_order
from recexp.fitted import FittedModel
from recexp.rng import derive
from recexp.streaming.events import Event
from recexp.streaming.following import Policy, policies_of
from recexp.streaming.live import LiveModel
from recexp.streaming.prequential import Replay
from recexp.streaming.sources import in_time, of_dataset
from recexp.streaming.windows import edges, measure, measure_windows

DAY = 86_400
USERS = ["ann", "bob", "cat", "dan"]
ITEMS = ["p", "q", "r", "s"]
# Before the stream p was chosen by three, q by two, r by one, s by nobody.
BEFORE = [("ann", "p"), ("bob", "p"), ("cat", "p"), ("ann", "q"), ("bob", "q"), ("ann", "r")]


def warmup(rows: Sequence[tuple[str, str]] = BEFORE) -> Dataset:
    """Likes before second 0, in a catalogue of all users and items."""
    everything = [(user, item) for user in USERS for item in ITEMS]
    users, items = (np.array(column) for column in zip(*everything, strict=True))
    whole = Dataset.from_columns("hand", users, items, timestamps=np.full(len(users), -1))
    kept = [everything.index(row) for row in rows]
    return whole.with_interactions(whole.interactions.select(np.array(sorted(kept))))


def like(user: str, item: str, second: int) -> Event:
    return Event(f"{user}{item}{second}", user, item, "like", None, second)


def replayed(
    events: Sequence[Event],
    policy: Policy,
    train: Dataset | None = None,
    recommender: Any = None,
    k: int = 4,
) -> Replay:
    train = warmup() if train is None else train
    recommender = Popularity() if recommender is None else recommender
    replay = Replay(LiveModel(FittedModel(recommender.fit(train), train)), policy, k)
    for event in events:
        replay.feed(event)
    return replay


def lists(replay: Replay) -> list[str]:
    """The lists of the tests as words."""
    ids = replay.live.histories.items.ids
    return ["".join(ids[i] for i in row if i >= 0) for row in replay.tests().lists.items]


STREAM = [
    like("cat", "s", 10),  # cat met p; q and r are left, then s
    like("dan", "s", 20),  # a new user: everything is left
    like("dan", "q", 30),
    like("bob", "s", 40),
]


def test_every_event_is_tested_before_it_is_learned_and_what_was_met_is_not_listed_again() -> None:
    replay = replayed(STREAM, Policy("incremental"))
    # cat: q 2, r 1, s 0. dan: p 3, q 2, then r and s with 1 each, whoever is first among equals.
    first = "rs" if _first_of("r", "s") == "r" else "sr"
    assert lists(replay)[:2] == ["qrs", f"pq{first}"]
    # dan has met s; s has 2 now, as q has, when bob (who met p and q) is asked after r: 1.
    assert lists(replay)[2:] == ["pqr", "sr"]
    assert replay.tests().ranks.tolist() == [3, 4 if first == "rs" else 3, 2, 1]
    assert replay.facts["n_updates"] == 4 - 1  # the last event is learned when the next one comes


def test_static_never_learns_and_still_hides_what_was_met() -> None:
    replay = replayed([*STREAM, like("dan", "r", 50)], Policy("static"))
    assert lists(replay) == ["qrs", "pqrs", "pqr", "rs", "pr"]
    assert replay.facts["n_updates"] == replay.facts["n_refits"] == 0


def test_what_is_delayed_is_hidden_at_once_and_learned_later() -> None:
    replay = replayed(STREAM, Policy("incremental", delay=15))
    # At 20 nothing is learned (10 + 15); at 30 cat's s is, at 40 dan's s too: then s has 2.
    assert lists(replay) == ["qrs", "pqrs", "pqr", "sr"]
    later = replayed(STREAM, Policy("incremental", delay=21))
    # At 40 only cat's s (31) is learned: s and r have 1 each.
    assert lists(later)[3] == ("rs" if _first_of("r", "s") == "r" else "sr")
    never = replayed(STREAM, Policy("incremental", delay=1000))
    assert lists(never) == lists(replayed(STREAM, Policy("static")))


def test_a_refit_sees_what_came_before_its_time_and_nothing_after() -> None:
    events = [like("cat", "s", 10), like("dan", "s", DAY - 1), like("bob", "s", DAY)]
    events += [like("dan", "r", DAY + 5), like("cat", "r", 3 * DAY)]
    replay = replayed(events, Policy("refit", refit_every=DAY))
    # On the first day nothing is learned; bob is asked after midnight, when s has 2 and r 1.
    assert lists(replay)[:3] == ["qrs", "pqrs", "sr"]
    # Still s 2 (bob's comes at the next midnight), but dan has met s: p, q, r.
    assert lists(replay)[3] == "pqr"
    # One refit for the days that passed: r has 2 by dan, as q has; cat met p and s.
    assert lists(replay)[4] == ("qr" if _first_of("q", "r") == "q" else "rq")
    assert replay.facts["n_refits"] == len(replay.refit_seconds) == 2


def test_a_refit_leaves_out_what_is_delayed_beyond_its_time() -> None:
    events = [like("cat", "s", 10), like("dan", "s", DAY - 5), like("bob", "s", DAY)]
    policy = Policy("refit", refit_every=DAY, delay=6)
    # dan's s can be learned from at DAY + 1: s has 1, as r has.
    assert lists(replayed(events, policy))[2] == ("rs" if _first_of("r", "s") == "r" else "sr")


def test_refits_of_a_stream_that_starts_within_a_period_do_not_come_at_its_start() -> None:
    replay = replayed([like("cat", "s", 5 * DAY + 10)], Policy("refit", refit_every=DAY))
    assert replay.facts["n_refits"] == 0


def test_updates_come_after_so_many_events() -> None:
    replay = replayed([*STREAM, like("dan", "r", 50)], Policy("incremental", update_every=2))
    # The first two are learned before the third; then s 2 hides dan's own, bob gets s before r.
    assert lists(replay) == ["qrs", "pqrs", "pqr", "sr", "pr"]
    assert replay.facts["n_updates"] == 2


def test_repeated_pairs_and_what_is_not_liked_are_no_tests() -> None:
    train = Dataset.from_columns(
        "stars",
        np.array(["ann", "bob", "cat"]),
        np.array(["p", "q", "r"]),
        np.array([5.0, 4.0, 2.0]),
        np.array([1, 2, 3]),
        scale=(1, 5),
    )
    stars = [("ann", "p", 5.0), ("ann", "q", 2.0), ("ann", "q", 5.0), ("ann", "r", 4.0)]
    events = [Event(str(n), u, i, "rating", v, 10 + n) for n, (u, i, v) in enumerate(stars)]
    events.append(Event("view", "bob", "p", "view", None, 20))
    events.append(Event("seen", "bob", "p", "rating", 5.0, 21))
    events.append(Event("like", "bob", "r", "like", None, 22))
    replay = replayed(events, Policy("static"), train)
    tests = replay.tests()
    assert [
        (train.users.ids[u], train.items.ids[i])
        for u, i in zip(tests.user_idx, tests.item_idx, strict=True)
    ] == [("ann", "r"), ("bob", "r")]
    assert tests.value.tolist() == [4.0, 5.0]
    facts = {name: replay.facts[name] for name in ("n_events", "n_repeated", "n_not_relevant")}
    # ann's p is of training, her second q and bob's p (viewed) are met; q of 2 and the view say no.
    assert facts == {"n_events": 7, "n_repeated": 3, "n_not_relevant": 2}
    assert replay.rated() is None  # popularity predicts no ratings


def test_new_users_are_new_once_and_get_popularity_then() -> None:
    events = [
        like("dan", "s", 10),
        like("dan", "r", 20),
        like("eve", "p", 30),
        like("eve", "z", 40),
    ]
    replay = replayed(events, Policy("fold_in"), recommender=EASE(regularization=1.0))
    tests = replay.tests()
    assert tests.known.tolist() == [False, True, False, True]
    assert [Source(one) for one in tests.sources[[0, 2]]] == [Source.FALLBACK] * 2
    assert Source(tests.sources[3]) is Source.FOLD_IN
    ids = replay.live.histories
    assert (ids.users.ids[4], ids.items.ids[4]) == ("eve", "z")
    assert tests.item_idx.tolist()[3] == 4
    assert tests.ranks[3] == 0  # nobody could have listed it
    assert lists(replay)[2][:2] == "pq"


def test_the_window_metrics_are_means_over_users_of_their_tests() -> None:
    replay = replayed(STREAM, Policy("static"))
    train = replay.live.histories.grown()
    # Ranks of s, s, q, s in the lists qrs, pqrs, pqr, rs: 3, 4, 2, 2.
    assert replay.tests().ranks.tolist() == [3, 4, 2, 2]
    measures = select(["hit_rate@2", "mrr@4", "ndcg@4", "precision@4", "coverage@2"], ())
    everything = np.ones(4, np.bool_)
    whole = measure(replay.tests(), None, train, measures, candidates=everything).metrics
    # dan's hit rate is 1/2 (of two tests), cat's 0, bob's 1.
    assert whole["hit_rate_at_2"] == pytest.approx((0 + 1 / 2 + 1) / 3)
    assert whole["mrr_at_4"] == pytest.approx((1 / 3 + (1 / 4 + 1 / 2) / 2 + 1 / 2) / 3)
    gains = {rank: 1 / np.log2(rank + 1) for rank in (2, 3, 4)}
    dan = (gains[4] + gains[2]) / 2
    assert whole["ndcg_at_4"] == pytest.approx((gains[3] + dan + gains[2]) / 3)
    assert whole["precision_at_4"] == pytest.approx(1 / 4)
    assert whole["coverage_at_2"] == 4 / 4  # q, r; p, q; p, q; r, s
    assert whole["new_users/hit_rate_at_2"] == 0.0
    assert whole["known_users/hit_rate_at_2"] == pytest.approx((0 + 1 + 1) / 3)
    assert whole["cold_items/mrr_at_4"] == pytest.approx((1 / 3 + 1 / 4 + 1 / 2) / 3)

    borders = edges(np.array(replay.times), 2, None)
    assert borders.tolist() == [10, 30, 41]
    first, second = measure_windows(
        borders,
        np.array(replay.times),
        replay.tests(),
        None,
        train,
        measures,
        candidates=everything,
        seed=1,
    )
    assert (first.n_events, first.n_tests, second.n_tests) == (2, 2, 2)
    assert first.evaluation is not None
    assert first.evaluation.metrics["mrr_at_4"] == pytest.approx((1 / 3 + 1 / 4) / 2)
    assert first.evaluation.metrics["coverage_at_2"] == 3 / 4


def test_windows_of_time_may_be_empty_and_cover_the_stream() -> None:
    times = np.array([0, 3, 25])
    assert edges(times, None, 10).tolist() == [0, 10, 20, 26]
    assert edges(np.array([0, 3, 19]), None, 10).tolist() == [0, 10, 20]
    assert edges(np.array([0, 3, 20]), None, 10).tolist() == [0, 10, 20, 21]  # not lost
    assert edges(np.array([7, 7, 7]), 3, None).tolist() == [7, 8]
    replay = replayed([like("cat", "s", 0), like("bob", "r", 25)], Policy("static"))
    windows = list(
        measure_windows(
            edges(np.array(replay.times), None, 10),
            np.array(replay.times),
            replay.tests(),
            None,
            warmup(),
            select(["mrr@4"], ()),
            candidates=np.ones(4, np.bool_),
            seed=1,
        )
    )
    assert [one.n_tests for one in windows] == [1, 0, 1]
    assert windows[1].evaluation is None
    assert windows[1].latency == {}


def test_a_stream_without_a_test_says_so() -> None:
    replay = replayed([like("ann", "p", 1)], Policy("static"))
    measures = select(["mrr@4"], ())
    with pytest.raises(DataError, match="nothing was tested"):
        measure(replay.tests(), None, warmup(), measures, candidates=np.ones(4, np.bool_))


@dataclass(eq=False)
class _ByMean:
    """Predicts the mean rating of an item in training, and nothing of others."""

    def fit(self, train: Dataset) -> _ByMean:
        rows = train.interactions
        n = np.bincount(rows.item_idx, minlength=train.n_items)
        total = np.bincount(rows.item_idx, rows.value, minlength=train.n_items)
        self.means_ = np.where(n > 0, total / np.maximum(n, 1), np.nan)
        return self

    def score(self, users: Any) -> Any:
        row = np.nan_to_num(self.means_, nan=0.0).astype(np.float32)
        return np.tile(row, (len(users), 1))

    def predict(self, users: Any, items: Any) -> Any:
        return self.means_[items]


def test_ratings_are_predicted_by_what_was_learned_and_else_by_means() -> None:
    train = Dataset.from_columns(
        "stars",
        np.array(["ann", "bob", "bob", "cat"]),
        np.array(["p", "p", "q", "r"]),
        np.array([5.0, 2.0, 4.0, 1.0]),
        np.array([1, 2, 3, 4]),
        scale=(1, 5),
    )
    stars = [("ann", "q", 5.0), ("cat", "z", 3.0), ("eve", "z", 4.0), ("dan", "y", 5.0)]
    events = [
        Event(str(n), *one, 10 + n)
        for n, one in enumerate([(u, i, "rating", v) for u, i, v in stars])
    ]
    replay = replayed(events, Policy("refit", refit_every=DAY), train, _ByMean(), k=3)
    found = replay.rated()
    assert found is not None
    pairs, _ = found
    # q: the item's 4. z: nobody has rated it in what was learned: cat's mean 1; eve is new: 3, the
    # mean of all; so is dan.
    assert pairs.prediction.tolist() == [4.0, 1.0, 3.0, 3.0]
    assert pairs.fallback.tolist() == [False, True, True, True]
    everything = np.ones(replay.live.histories.grown().n_items, np.bool_)
    grown = replay.live.histories.grown()
    result = measure(replay.tests(), pairs, grown, select(["mrr@3"], ()), candidates=everything)
    errors = np.array([1.0, 2.0, 1.0, 2.0])
    assert result.metrics["mse"] == pytest.approx((errors**2).mean())
    assert result.metrics["mae"] == pytest.approx(errors.mean())
    assert result.metrics["rmse"] == pytest.approx(np.sqrt((errors**2).mean()))


# -- against a naive loop


def stream_of(seed: int) -> tuple[Dataset, Interactions]:
    """Clicks of 25 users on 18 items, and what comes after them."""
    rng = np.random.default_rng(seed)
    pairs = np.array(list(itertools.product(range(25), range(18))))
    rows = rng.permutation(len(pairs))[:300]
    taste = pairs[rows]
    weights = (taste[:, 0] % 3 == taste[:, 1] % 3) | (rng.random(300) < 0.4)
    users, items = taste[weights].T
    times = np.sort(rng.integers(0, 3 * DAY, len(users)))
    whole = Dataset.from_columns("clicks", users, items, timestamps=times)
    interactions = whole.interactions
    assert interactions.timestamp is not None
    early = interactions.timestamp < DAY
    late = interactions.select(~early)
    return whole.with_interactions(interactions.select(early)), late


def naive(
    train: Dataset, late: Interactions, recommender: Any, policy: Policy, k: int, order: Any
) -> list[tuple[int, int, list[int]]]:
    """The tests of a stream, each from models fitted anew on what was known at that moment."""
    times = late.timestamp
    assert times is not None
    ties = tie_order(train.n_items, derive(42, "ties"))
    old = train.interactions
    found = []
    for place, at in enumerate(order):
        user, item, now = int(late.user_idx[at]), int(late.item_idx[at]), int(times[at])
        before = order[:place]
        due = [j for j in before if times[j] + policy.delay <= now]
        if policy.name == "static":
            due = []
        midnight = now // DAY * DAY
        learned = []
        if policy.refit_every:
            first = int(times[order[0]]) // DAY * DAY
            if midnight > first:
                learned = [j for j in before if times[j] + policy.delay <= midnight]
        if policy.name == "refit":
            due = learned
        rows = np.array([*range(len(old)), *(len(old) + j for j in learned)])
        users, items = (
            np.append(getattr(old, name), getattr(late, name)) for name in ("user_idx", "item_idx")
        )

        def some(rows: Any, users: Any = users, items: Any = items) -> Dataset:
            rows = np.asarray(rows, np.int64)
            part = Interactions(
                users[rows],
                items[rows],
                np.ones(len(rows), np.float32),
                None,
                train.n_users,
                train.n_items,
            )
            return train.with_interactions(part)

        model = replace(recommender).fit(some(rows))
        known = some([*range(len(old)), *(len(old) + j for j in due)])
        mine = known.interactions.csr("ones")[[user]]
        pending = any(late.user_idx[j] == user and j not in learned for j in due)
        if policy.name == "fold_in" and pending:
            scores = model.score_histories(mine)[0]
        elif some(rows).interactions.user_counts()[user] or isinstance(model, Popularity):
            scores = model.score(np.array([user], np.int32))[0]
        else:
            scores = Popularity().fit(known).popularity_
        met = set(old.item_idx[old.user_idx == user].tolist())
        met |= {int(late.item_idx[j]) for j in before if late.user_idx[j] == user}
        ranked = sorted(set(range(train.n_items)) - met, key=lambda i: (-scores[i], ties[i]))
        if item not in met:
            found.append((user, item, ranked[:k]))
    return found


@pytest.mark.parametrize("delay", [0, 1, 5000])
@pytest.mark.parametrize(
    ("recommender", "policy"),
    [
        (Popularity(), Policy("static")),
        (Popularity(), Policy("refit", refit_every=DAY)),
        (EASE(regularization=3.0), Policy("fold_in")),
        (EASE(regularization=3.0), Policy("refit", refit_every=DAY)),
        (EASE(regularization=3.0), Policy("fold_in", refit_every=DAY)),
        (ItemKNN(), Policy("fold_in")),
        (UserKNN(), Policy("refit", refit_every=DAY)),
        (UserKNN(), Policy("static")),
    ],
    ids=str,
)
def test_a_replay_is_the_naive_loop(recommender: Any, policy: Policy, delay: int) -> None:
    train, late = stream_of(3)
    policy = replace(policy, delay=delay)
    order = in_time(late, derive(42, "stream"))
    replay = replayed(
        list(of_dataset(train, late.select(order))), policy, train, replace(recommender), k=5
    )
    tests = replay.tests()
    expected = naive(train, late, recommender, policy, 5, order.tolist())
    assert len(tests) == len(expected) > 100
    for row, (user, item, best) in enumerate(expected):
        assert (tests.user_idx[row], tests.item_idx[row]) == (user, item)
        listed = [one for one in tests.lists.items[row].tolist() if one >= 0]
        assert listed == best, row


def test_exact_increments_are_refits_after_every_event() -> None:
    train, late = stream_of(4)
    rows = list(of_dataset(train, late.select(in_time(late, derive(42, "stream")))))
    learning = replayed(rows, Policy("incremental"), train, Popularity())
    live = LiveModel(FittedModel(Popularity().fit(train), train))
    for event, listed in zip(rows, learning.tests().lists.items, strict=True):
        expected = live.recommend(event.user, 4) if event.user in live.histories.users else None
        assert expected is not None
        assert [one for one in listed.tolist() if one >= 0] == expected.items.tolist()
        live.take([event])
        live.adopt(live.refitted())


def test_what_learns_is_taught_event_by_event() -> None:
    train, late = stream_of(6)
    rows = late.select(in_time(late, derive(42, "stream")))
    als = ALS(n_factors=4, epochs=2)
    replay = replayed(list(of_dataset(train, rows)), Policy("incremental"), train, replace(als), 5)
    model = als.fit(train)
    ties = tie_order(train.n_items, derive(42, "ties"))
    seen = train.interactions.csr("ones").toarray() > 0
    for place, listed in enumerate(replay.tests().lists.items):
        user, item = int(rows.user_idx[place]), int(rows.item_idx[place])
        scores = model.score(np.array([user], np.int32))[0]
        if not model.histories_[[user]].nnz:
            scores = seen.sum(axis=0).astype(np.float32)
        best = sorted(np.flatnonzero(~seen[user]), key=lambda i: (-scores[i], ties[i]))[:5]
        assert [one for one in listed.tolist() if one >= 0] == best, place
        seen[user, item] = True
        model.partial_fit(train.with_interactions(rows.select(np.array([place]))))
    assert replay.facts["n_tests"] == len(rows)


def test_the_final_model_has_learned_the_whole_stream_where_the_policy_learns() -> None:
    train, late = stream_of(5)
    rows = list(of_dataset(train, late.select(in_time(late, derive(42, "stream")))))
    everything = len(train.interactions) + len(late)
    for policy, n in (
        (Policy("static"), len(train.interactions)),
        (Policy("fold_in"), len(train.interactions)),
        (Policy("refit", refit_every=DAY), everything),
        (Policy("fold_in", refit_every=DAY), everything),
    ):
        final = replayed(rows, policy, train, EASE()).final()
        assert len(final.train.interactions) == n
        fresh = EASE().fit(final.train)
        users = np.arange(5, dtype=np.int32)
        np.testing.assert_allclose(final.recommender.score(users), fresh.score(users), atol=1e-5)


def test_policies_that_cannot_be_are_refused_in_one_line() -> None:
    assert policies_of(Popularity()) == ("static", "incremental", "refit")
    assert policies_of(ALS()) == ("static", "fold_in", "incremental", "refit")
    with pytest.raises(ConfigError, match=r"Popularity cannot fold users in; .*static \| incr"):
        Policy("fold_in").check(Popularity())
    with pytest.raises(ConfigError, match="UserKNN cannot learn from single events"):
        Policy("incremental").check(UserKNN())
    with pytest.raises(ConfigError, match="static never learns"):
        Policy("static", refit_every=DAY)
    with pytest.raises(ConfigError, match="has no updates"):
        Policy("refit", refit_every=DAY, update_every=5)


def test_the_order_within_a_second_is_drawn_and_the_same_for_a_seed() -> None:
    train, late = stream_of(3)
    assert late.timestamp is not None
    crowded = Interactions(
        late.user_idx, late.item_idx, late.value, late.timestamp // DAY, late.n_users, late.n_items
    )
    one, two, other = (in_time(crowded, derive(seed, "stream")) for seed in (1, 1, 2))
    assert one.tolist() == two.tolist() != other.tolist()
    assert crowded.timestamp is not None
    assert (np.diff(crowded.timestamp[one]) >= 0).all()
    assert len(train.interactions)


def _first_of(a: str, b: str) -> str:
    """Which of two items of equal counts is listed first."""
    ranks = tie_order(4, derive(42, "ties"))
    return a if ranks[ITEMS.index(a)] < ranks[ITEMS.index(b)] else b
