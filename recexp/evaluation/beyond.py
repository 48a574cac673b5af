"""Beyond accuracy: what the lists cover, how popular, new, diverse and fitting they are.

Metrics of kind LIST and RELEVANCE give one value per user, float64 (n,): NaN where a list has
nothing the metric could be computed from, and such a user is not in its mean. Metrics of kind
LISTS give one number for all users' lists together.
"""

from __future__ import annotations

import numpy as np

from recexp.arrays import AnyArray, FloatArray, IntArray, Sparse
from recexp.evaluation.arithmetic import ratio
from recexp.evaluation.judge import Judged
from recexp.evaluation.registry import Kind, metric

_STECK_ALPHA = 0.01


@metric(
    "distinct items recommended to anyone / candidates",
    "Herlocker et al. 2004, ACM TOIS 22(1): catalog coverage",
    Kind.LISTS,
)
def coverage(judged: Judged) -> float:
    """The share of the candidates that occur in any list."""
    return float((_exposure(judged) > 0).mean())


@metric(
    "sum over j of (2j - n - 1) x_j / ((n - 1) sum x), x: exposures of the n candidates, ascending",
    "Shani, Gunawardana 2011, Recommender Systems Handbook: Gini index",
    Kind.LISTS,
    lower_is_better=True,
)
def gini(judged: Judged) -> float:
    """The Gini index of exposure over all candidates: 0 equal, 1 a single item takes all."""
    exposure = np.sort(_exposure(judged))
    n, total = len(exposure), exposure.sum()
    if n < 2 or total == 0:
        return 0.0
    return float(((2 * np.arange(1, n + 1) - n - 1) * exposure).sum() / ((n - 1) * total))


@metric(
    "mean over the list of the item's share of training users",
    "Abdollahpouri et al. 2019, FLAIRS: average recommendation popularity, as a share",
    Kind.LIST,
)
def popularity(judged: Judged) -> FloatArray:
    """The mean training popularity of the recommended items; NaN for an empty list."""
    return _list_mean(judged, judged.catalogue.popularity)


@metric(
    "mean over the list of -log2(share of training users), unseen items 1 / (n_users + 1)",
    "Zhou et al. 2010, PNAS 107(10): self-information",
    Kind.LIST,
)
def novelty(judged: Judged) -> FloatArray:
    """The mean self-information of the recommended items, in bits; NaN for an empty list."""
    share = judged.catalogue.popularity
    unseen = 1 / (judged.catalogue.n_train_users + 1)
    return _list_mean(judged, -np.log2(np.where(share > 0, share, unseen)))


@metric(
    "mean over pairs in the list of 1 - cosine of the items' feature vectors",
    "Ziegler et al. 2005, WWW: intra-list dissimilarity; Smyth, McClave 2001",
    Kind.LIST,
)
def diversity(judged: Judged) -> FloatArray:
    """The mean dissimilarity of two items of the list; NaN for a list of fewer than two.

    The cosine with an item without features is 0. For unit vectors f the sum of the cosines over
    all pairs is (|sum f|^2 - sum |f|^2) / 2.
    """
    vectors = judged.catalogue.vectors
    lists = _indicator(judged)
    size = _sizes(judged)
    length = vectors.multiply(vectors).sum(axis=1)
    total = lists @ vectors
    squared_sum = np.asarray(total.multiply(total).sum(axis=1)).ravel()
    cosines = (squared_sum - lists @ np.asarray(length).ravel()) / 2
    pairs = size * (size - 1) / 2
    return 1 - ratio(cosines, pairs, np.nan)


@metric(
    "sum over i<=k of h_i * (1 - popularity percentile of the item), / k",
    "after Murakami et al. 2008, Ge et al. 2010: relevant and unexpected",
)
def serendipity(judged: Judged) -> FloatArray:
    """The mean over the k places of relevance times unpopularity; missing places count 0."""
    surprise = 1 - judged.catalogue.popularity_percentile
    return judged.sum_over_hits(surprise[judged.hit_items]) / judged.k


@metric(
    "sum over categories g of p(g) ln(p(g) / q(g)), p: the user's history, q: 0.99 list + 0.01 p",
    "Steck 2018, RecSys: Calibrated Recommendations, C_KL with alpha = 0.01",
    Kind.LIST,
    lower_is_better=True,
)
def calibration(judged: Judged) -> FloatArray:
    """The KL divergence of the list's category distribution from that of the user's history.

    An item's weight is shared equally by its categories; items without any do not count. The
    history is all that the user had before the test, equally weighted. NaN for a user whose
    history or list has no category.
    """
    categories = judged.catalogue.categories
    known = (categories.sum(axis=1) > 0).astype(np.float64)
    listed = _indicator(judged)
    history = judged.catalogue.seen[judged.users].astype(np.float64)
    n_listed, n_history = listed @ known, history @ known
    list_share = _divide_rows(listed @ categories, n_listed)
    history_share = _divide_rows(history @ categories, n_history)
    smoothed = (1 - _STECK_ALPHA) * list_share + _STECK_ALPHA * history_share
    taken = history_share > 0  # 0 ln 0 = 0
    odds = np.divide(history_share, smoothed, out=np.ones_like(smoothed), where=taken)
    divergence = (history_share * np.log(odds)).sum(axis=1)
    return np.where((n_listed > 0) & (n_history > 0), divergence, np.nan)


def _exposure(judged: Judged) -> IntArray:
    """How often each candidate is recommended, int64 (n_candidates,)."""
    items = judged.items[judged.items >= 0]
    candidates = judged.catalogue.candidates
    return np.bincount(items, minlength=len(candidates))[candidates]


def _sizes(judged: Judged) -> IntArray:
    sizes: IntArray = (judged.items >= 0).sum(axis=1)
    return sizes


def _list_mean(judged: Judged, weights: FloatArray) -> FloatArray:
    """The mean weight of the items of each list; NaN for an empty list."""
    size = _sizes(judged)
    # A missing item, -1, reads the appended 0.
    total = np.append(weights, 0.0)[judged.items].sum(axis=1)
    return ratio(total, size, np.nan)


def _indicator(judged: Judged) -> Sparse:
    """The lists as a csr of ones, float64 (n, n_items)."""
    from scipy.sparse import csr_array

    size = _sizes(judged)
    items = judged.items[judged.items >= 0]
    indptr = np.concatenate([[0], np.cumsum(size)])
    shape = (len(size), len(judged.catalogue.candidates))
    return csr_array((np.ones(len(items)), items, indptr), shape=shape)


def _divide_rows(matrix: Sparse, divisor: AnyArray) -> FloatArray:
    """The dense rows of `matrix` over `divisor`; zero rows where it is 0."""
    dense: FloatArray = matrix.toarray()
    return dense / np.maximum(divisor, 1)[:, None]
