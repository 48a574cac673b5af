"""The lists of an experiment: every user of a split answered, ranked and filtered in one place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from recexp.algorithms.base import Recommender, Source
from recexp.arrays import IdxArray
from recexp.errors import ConfigError, did_you_mean
from recexp.evaluation.scoring import Scorer
from recexp.evaluation.topk import TopK, tie_order, top_k
from recexp.rng import derive
from recexp.splits.base import Split

CANDIDATES = ("all", "train")


@dataclass(frozen=True, eq=False)
class Recommendations:
    """Top-k lists and how they came about.

    Attributes:
        lists: the lists, one row a user.
        sources: how each user was answered, uint8 (n,) (see `Source`).
    """

    lists: TopK
    sources: NDArray[np.uint8]

    @property
    def tied_boundary_share(self) -> float:
        """The share of users whose list ends inside a tie; 0 without users."""
        return float(self.lists.tied_boundary.mean()) if len(self.sources) else 0.0

    @property
    def source_counts(self) -> dict[str, int]:
        """The number of users by source, under the lower-case names of `Source`."""
        return {source.name.lower(): int((self.sources == source).sum()) for source in Source}


def recommend(
    recommender: Recommender,
    split: Split,
    users: IdxArray,
    k: int,
    *,
    exclude_seen: bool = True,
    candidates: Literal["all", "train"] = "all",
    seed: int = 42,
    threads: int = 1,
    memory_mb: int = 512,
) -> Recommendations:
    """Return the k best items of each of `users`, rows ascending by user.

    Args:
        recommender: fitted on `split.train`; users it cannot answer are folded in or get
            popularity (see `Scorer`).
        users: idx, any order; repeated ones get one row.
        k: the length of the lists, at most the size of the catalogue.
        exclude_seen: leave out what the user had before the test (`split.seen()`).
        candidates: `all` items of the catalogue, or those with a `train`ing interaction.
        seed: of the run; the order of ties is derived from it.
        threads, memory_mb: see `top_k`; they never change the lists.

    Raises ConfigError when k exceeds the catalogue or `candidates` is neither of the two, and
    DataError when a score is NaN or +inf.
    """
    if candidates not in CANDIDATES:
        raise ConfigError(f"candidates={candidates}{did_you_mean(candidates, CANDIDATES)}")
    train = split.train
    allowed = train.interactions.item_counts() > 0 if candidates == "train" else None
    seen = split.seen() if exclude_seen else None
    tie_rank = tie_order(train.n_items, derive(seed, "ties"))
    users = np.unique(users).astype(np.int32)
    scorer = Scorer(recommender, split)
    lists = TopK.empty(users, k)
    for model, at in scorer.answers(users):
        part = top_k(
            model,
            users[at],
            k,
            seen=seen,
            candidates=allowed,
            tie_rank=tie_rank,
            threads=threads,
            memory_mb=memory_mb,
        )
        lists.items[at], lists.scores[at] = part.items, part.scores
        lists.tied_boundary[at] = part.tied_boundary
    return Recommendations(lists, scorer.sources(users))
