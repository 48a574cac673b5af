"""Test, then learn: a stream of events against a live model that follows it by a policy."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from recexp.algorithms.base import PredictsRatings
from recexp.arrays import IntArray
from recexp.evaluation.ratings import Fallback, RatedPairs
from recexp.fitted import FittedModel
from recexp.streaming.events import Event
from recexp.streaming.following import Policy
from recexp.streaming.live import Answer, LiveModel
from recexp.streaming.means import Means
from recexp.streaming.tested import TestLog, Tests


@dataclass(frozen=True, slots=True)
class _Rated:
    user: int
    item: int
    event: Event
    prediction: float
    fallback: bool


class Replay:
    """A stream that goes by: each event is first tested, then learned from.

    An event is a test when it says that the user likes an item that he had not met: its value is
    at least the relevance threshold, and the pair is neither in training nor earlier in the stream.
    Its user's list is made with what was learned by then. The user has met the item from that
    moment on, so it is never listed to him again; the model learns of the event, in whatever way
    `policy` says, at the earliest `delay` seconds later. The clock of the stream is the latest
    timestamp so far.

    Attributes:
        facts: counts of the events: `n_events`, `n_tests`, `n_repeated` (pairs met before),
            `n_not_relevant`, `n_updates`, `n_refits`.
        update_seconds, refit_seconds: what each update and each refit took.
        times, items: the timestamp and the item idx of every event so far.
    """

    def __init__(
        self,
        live: LiveModel,
        policy: Policy,
        k: int,
        *,
        exclude_seen: bool = True,
        rating_fallback: Fallback = "means",
    ) -> None:
        live.folds_in = live.folds_in and policy.name in ("fold_in", "incremental")
        self.live = live
        self.policy = policy
        self.k = k
        self.facts = dict.fromkeys(
            ("n_events", "n_tests", "n_repeated", "n_not_relevant", "n_updates", "n_refits"), 0
        )
        self.update_seconds: list[float] = []
        self.refit_seconds: list[float] = []
        self.times: list[int] = []
        self.items: list[int] = []
        self._exclude_seen = exclude_seen
        self._predicts = isinstance(live.model.recommender, PredictsRatings)
        self._waiting: deque[tuple[int, Event]] = deque()
        self._now = 0
        self._refitted_at: int | None = None
        self._n_refitted = 0
        self._n_untaught = 0
        self._log = TestLog(k)
        self._rated: list[_Rated] = []
        self._means = Means(live.model.train.interactions, rating_fallback)

    def feed(self, event: Event) -> None:
        """Test an event, which must be such as `meaning.check` lets pass, and learn from it."""
        self._now = max(self._now, event.timestamp)
        self._catch_up()
        self._test(event)
        if self.policy.name != "static":
            self._waiting.append((self._now + self.policy.delay, event))
        self.facts["n_events"] += 1

    def final(self) -> FittedModel:
        """Return the model after the stream, which has learned all of it where the policy learns.

        Nobody is tested any more, so this is in no figure.
        """
        live = self.live
        while self._waiting:
            self._take(self._waiting.popleft()[1])
        if self.policy.refit_every is not None:
            if live.histories.n_new > self._n_refitted:
                live.adopt(live.refitted())
        elif self.policy.name == "incremental" and live.n_pending:
            live.adopt(live.taught())
        learned = live.learned
        train = live.histories.whole() if learned.version > 1 else live.model.train
        return replace(live.model, recommender=learned.recommender, train=train)

    # -- testing

    def _test(self, event: Event) -> None:
        histories, train = self.live.histories, self.live.model.train
        value = histories.meaning.value(event)
        user = int(histories.users.to_idx([event.user])[0])
        item = int(histories.items.to_idx([event.item])[0])
        seen = histories.seen(user) if user >= 0 else np.empty(0, np.int32)
        met = value is not None and item in seen
        rated = event.kind == "rating" and not met
        prediction = self._predict(user, item) if rated else None
        threshold = train.relevance_threshold if train.explicit else None
        relevant = value is not None and (threshold is None or value >= np.float32(threshold))
        self.facts["n_repeated"] += met
        self.facts["n_not_relevant"] += not (met or relevant)
        start = time.perf_counter()
        answer = self._answer(event) if relevant and not met else None
        seconds = time.perf_counter() - start
        # Only now: until here he had not met it.
        user, item = histories.see(event.user, event.item)
        self.times.append(event.timestamp)
        self.items.append(item)
        if prediction is not None:
            self._rated.append(_Rated(user, item, event, *prediction))
        if answer is not None and value is not None:
            self.facts["n_tests"] += 1
            made = answer.items, answer.source, seconds
            self._log.add(event.timestamp, user, item, value, len(seen) > 0, *made)

    def _answer(self, event: Event) -> Answer:
        if event.user in self.live.histories.users:
            return self.live.recommend(event.user, self.k, exclude_seen=self._exclude_seen)
        return self.live.recommend_to([], [], self.k)

    def _predict(self, user: int, item: int) -> tuple[float, bool] | None:
        """The predicted rating and whether it is a mean; None for a model that predicts none."""
        learned: Any = self.live.learned
        if not self._predicts:
            return None
        predicted = np.nan
        if 0 <= user < learned.n_users and 0 <= item < learned.n_items:
            pair = np.array([user], np.int32), np.array([item], np.int32)
            predicted = float(learned.recommender.predict(*pair)[0])
        if np.isfinite(predicted):
            return predicted, False
        return self._means.of(user, item), True

    # -- learning

    def _catch_up(self) -> None:
        """Learn what is due now, refits at their time."""
        every = self.policy.refit_every
        if every is not None:
            last = self._now // every * every
            if self._refitted_at is not None and last > self._refitted_at:
                start = time.perf_counter()
                if self._refit(last):
                    self.refit_seconds.append(time.perf_counter() - start)
            self._refitted_at = last
        if self.policy.name != "refit":
            self._learn(self._now)

    def _learn(self, until: int) -> None:
        """Take the events that can be learned from by `until`, and update the model if it is so."""
        while self._waiting and self._waiting[0][0] <= until:
            event = self._waiting.popleft()[1]
            start = time.perf_counter()
            self._take(event)
            self._n_untaught += 1
            due = self._n_untaught >= self.policy.update_every
            if self.policy.name == "incremental" and due and self.live.n_pending:
                self.live.adopt(self.live.taught())
                self.facts["n_updates"] += 1
                self._n_untaught = 0
            self.update_seconds.append(time.perf_counter() - start)

    def _refit(self, until: int) -> bool:
        """Fit anew on what can be learned from by `until`; False when that is nothing new."""
        while self._waiting and self._waiting[0][0] <= until:
            self._take(self._waiting.popleft()[1])
        n_new = self.live.histories.n_new
        if n_new == self._n_refitted:
            return False
        self.live.adopt(self.live.refitted())
        self._n_refitted, self._n_untaught = n_new, 0
        self.facts["n_refits"] += 1
        return True

    def _take(self, event: Event) -> None:
        self.live.take([event])
        if event.value is not None:
            histories = self.live.histories
            self._means.add(
                int(histories.users.to_idx([event.user])[0]),
                int(histories.items.to_idx([event.item])[0]),
                event.value,
            )

    # -- what came out

    def tests(self, start: int = 0) -> Tests:
        """Return the tests from number `start` on."""
        return self._log.tests(start)

    def rated(self) -> tuple[RatedPairs, IntArray] | None:
        """Return the rated events with their predictions, and when they were; None without any."""
        scale = self.live.model.train.scale
        if scale is None or not self._rated:
            return None
        rows = self._rated
        predictions = np.array([one.prediction for one in rows], np.float64)
        pairs = RatedPairs(
            np.array([one.user for one in rows], np.int32),
            np.array([one.item for one in rows], np.int32),
            np.array([one.event.value for one in rows], np.float64),
            np.clip(predictions, *scale),
            np.array([one.fallback for one in rows], np.bool_),
            "predicted",
        )
        return pairs, np.array([one.event.timestamp for one in rows], np.int64)
