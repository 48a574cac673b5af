"""Content profiles: users are the text of what they liked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from recexp.algorithms.base import Source, check_needs, require
from recexp.arrays import AnyArray, Float32Array, FloatArray, IdxArray, Sparse
from recexp.data.dataset import Dataset
from recexp.data.features import Analyzer, text
from recexp.errors import DataError

_SECONDS_PER_DAY = 86_400.0


@dataclass(eq=False)
class TfIdf:
    """Cosine of the user's profile with the TF-IDF vector of the item's text.

    The vectors are those of `recexp.data.features.text`, which makes LightFM's text features too. A
    profile is the weighted sum of the vectors of the user's training items (Rocchio 1971). With
    ratings, the weight is the rating minus the user's mean, times `negative_weight` below it;
    ratings that are all equal, and interactions without ratings, weigh 1. Users without a profile
    are left to the fallback; an item needs no interaction, only text. A history given later is as
    recent as can be: its interactions count whole, whatever `half_life_days`.

    Attributes:
        columns: the item columns whose text is taken.
        analyzer: terms are `word`s or characters within words (`char_wb`).
        ngram_min, ngram_max: terms are sequences of so many words or characters, 1 <= min <= max.
        sublinear_tf: whether a term counts 1 + log(its frequency) in an item.
        min_df: items that a term must occur in, >= 1.
        negative_weight: how much ratings below the user's mean count against their terms, >= 0.
        half_life_days: an interaction that is older than the user's last by so many days counts
            half; None: age does not matter.
    """

    columns: tuple[str, ...] = ("title", "genres")
    analyzer: Analyzer = "word"
    ngram_min: int = 1
    ngram_max: int = 2
    sublinear_tf: bool = True
    min_df: int = 1
    negative_weight: float = 0.25
    half_life_days: float | None = None

    def __post_init__(self) -> None:
        self.columns = tuple(self.columns)  # YAML has lists only
        require(len(self.columns) > 0, self, "columns", "at least one item column")
        require(self.analyzer in ("word", "char_wb"), self, "analyzer", "word or char_wb")
        require(self.ngram_min >= 1, self, "ngram_min", "a whole number >= 1")
        require(self.ngram_max >= self.ngram_min, self, "ngram_max", "at least algo.ngram_min")
        require(self.min_df >= 1, self, "min_df", "a whole number >= 1")
        require(self.negative_weight >= 0, self, "negative_weight", "a number >= 0")
        days = self.half_life_days
        require(days is None or days > 0, self, "half_life_days", "a number of days > 0, or null")

    @property
    def needs(self) -> frozenset[str]:
        text = {f"item:{name}" for name in self.columns}
        return frozenset(text if self.half_life_days is None else text | {"timestamps"})

    def fit(self, train: Dataset) -> Self:
        check_needs(self, train)
        rows = train.interactions
        self.explicit_ = train.explicit
        self._learn_vectors(train)
        fade = np.ones(len(rows))
        if self.half_life_days is not None:
            assert rows.timestamp is not None  # checked above
            last = np.zeros(train.n_users, np.int64)
            np.maximum.at(last, rows.user_idx, rows.timestamp)
            age = (last[rows.user_idx] - rows.timestamp) / _SECONDS_PER_DAY
            fade = np.exp2(-age / self.half_life_days)
        self.profiles_: Sparse = self._profiles(
            rows.user_idx, rows.item_idx, rows.value, fade, train.n_users
        )
        return self

    def _learn_vectors(self, train: Dataset) -> None:
        columns = (train.item_columns[name] for name in self.columns)
        found = text(
            list(map(" ".join, zip(*columns, strict=True))),
            analyzer=self.analyzer,
            ngram_min=self.ngram_min,
            ngram_max=self.ngram_max,
            sublinear_tf=self.sublinear_tf,
            min_df=self.min_df,
        )
        if not found.names:
            raise DataError(
                f"{train.name}: no term of the columns {', '.join(self.columns)} is in "
                f"algo.min_df={self.min_df} items: lower it or choose other algo.columns"
            )
        self.vectors_: Sparse = found.matrix
        self.terms_: list[str] = [name.partition("=")[2] for name in found.names]

    def _profiles(
        self, users: AnyArray, items: AnyArray, values: AnyArray, fade: FloatArray, n_users: int
    ) -> Sparse:
        """The profiles of parallel columns, csr (n_users, n_terms), of length 1 or 0."""
        from scipy.sparse import csr_array, diags_array

        weights = np.ones(len(values))
        if self.explicit_:
            count = np.bincount(users, minlength=n_users)
            mean = np.bincount(users, values, n_users) / np.maximum(count, 1)
            weights = values - mean[users]
            differ = np.bincount(users, np.abs(weights), n_users) > 1e-6 * count
            weights = np.where(weights < 0, self.negative_weight * weights, weights)
            weights = np.where(differ[users], weights, 1.0)
        shape = (n_users, self.vectors_.shape[0])
        sums = csr_array((weights * fade, (users, items)), shape=shape) @ self.vectors_
        length = np.sqrt((sums * sums).sum(axis=1))
        inverse = np.divide(1.0, length, out=np.zeros(n_users), where=length > 0)
        return csr_array(diags_array(inverse) @ sums, dtype=np.float32)

    def score(self, users: IdxArray) -> Float32Array:
        return self._cosines(self.profiles_[users])

    def score_histories(self, histories: Sparse) -> Float32Array:
        rows = histories.tocoo()
        users, items = rows.coords
        fade = np.ones(len(rows.data))
        return self._cosines(self._profiles(users, items, rows.data, fade, rows.shape[0]))

    def similarities(self, items: IdxArray) -> Float32Array:
        return self._cosines(self.vectors_[items])

    def _cosines(self, vectors: Sparse) -> Float32Array:
        cosines: Float32Array = (vectors @ self._items_of_terms).toarray()
        return cosines

    @cached_property
    def _items_of_terms(self) -> Sparse:
        return self.vectors_.T.tocsr()

    def explain(self, user: int, item: int, n: int) -> list[tuple[str, float]]:
        common = (self.profiles_[[user]] * self.vectors_[[item]]).tocoo()
        best = np.argsort(-common.data, kind="stable")[:n]
        return [
            (f"term:{self.terms_[common.coords[1][at]]}", float(common.data[at]))
            for at in best
            if common.data[at] > 0
        ]

    def source(self, users: IdxArray) -> NDArray[np.uint8]:
        begins = self.profiles_.indptr
        known = begins[users + 1] > begins[users]
        return np.where(known, Source.MODEL, Source.FALLBACK).astype(np.uint8)

    def state(self) -> dict[str, Any]:
        return {
            "vectors": self.vectors_,
            "profiles": self.profiles_,
            "terms": self.terms_,
            "explicit": self.explicit_,
        }

    def restore(self, state: Mapping[str, Any]) -> Self:
        self.vectors_ = state["vectors"]
        self.profiles_ = state["profiles"]
        self.terms_ = list(state["terms"])
        self.explicit_ = bool(state["explicit"])
        return self
