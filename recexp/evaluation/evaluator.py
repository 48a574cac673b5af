"""The evaluator: per-user values first, means and intervals from them last."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from recexp.arrays import AnyArray, BoolArray, FloatArray, IdxArray
from recexp.errors import ConfigError
from recexp.evaluation.auc import Ranked, rank_all
from recexp.evaluation.catalogue import Catalogue
from recexp.evaluation.judge import Judged, holdout, judge
from recexp.evaluation.metrics import Measure, list_length, mlflow_name, select
from recexp.evaluation.ratings import RatedPairs
from recexp.evaluation.registry import Kind
from recexp.evaluation.segments import item_segments, user_segments
from recexp.evaluation.summary import ERROR_SUMS, Estimate, summarize
from recexp.evaluation.topk import Scores, TopK
from recexp.splits.base import Split

__all__ = ["DEFAULT_CUTOFFS", "DEFAULT_METRICS", "Estimate", "Evaluation", "evaluate"]

DEFAULT_METRICS = (
    *("precision", "recall", "f1", "ndcg", "hit_rate", "mrr", "map"),
    *("coverage", "popularity", "novelty"),
)
DEFAULT_CUTOFFS = (5, 10, 20)


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What was measured.

    Attributes:
        per_user: columns of one length, one row a user with a relevant test item or a rated test
            pair, ascending by `user_idx` (int32). bool: the user segments. `n_relevant` (int64):
            |R(u)|. float64: every per-user metric under its MLflow name, `<segment>/<name>` for
            segments of items, NaN where the user is not in that mean. `n_ratings` (int64),
            `squared_error`, `absolute_error`: of the user's rated pairs, also by segment of items.
        table: the estimates, which `summarize` derives from `per_user`, and the list-set metrics.
        facts: counts and shares for the record; plain JSON values.
    """

    per_user: Mapping[str, AnyArray]
    table: tuple[Estimate, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def metrics(self) -> dict[str, float]:
        """The values by MLflow name: `{"precision_at_10": ..., "tail_items/ndcg_at_5": ...}`."""
        return {estimate.key: estimate.value for estimate in self.table}


def evaluate(
    lists: TopK,
    split: Split,
    *,
    metrics: Sequence[str] = DEFAULT_METRICS,
    cutoffs: Sequence[int] = DEFAULT_CUTOFFS,
    ratings: RatedPairs | None = None,
    scorer: Scores | None = None,
    candidates: BoolArray | None = None,
    exclude_seen: bool = True,
    relevance_threshold: float | None = None,
    seed: int = 42,
    n_resamples: int = 1000,
) -> Evaluation:
    """Return every metric of METRICS asked for, per user and summarized.

    Args:
        lists: at least as long as the largest cutoff, unless the catalogue is shorter; those of
            users without a relevant test item are left out, evaluated users without one miss.
        metrics: names such as `ndcg@10`, `auc`, `my_pkg.my_metric@10`; without `@`, at all
            `cutoffs`.
        ratings: from `predict_ratings`; with it all rating metrics are computed.
        scorer: scores all users; only `auc` needs it.
        candidates: bool (n_items,), the items that may be recommended; None for all.
        exclude_seen: whether seen items were left out of the lists (they are no candidates).
        relevance_threshold: of the test values; None for the dataset's.
        seed, n_resamples: of the bootstrap intervals.

    Raises ConfigError for metrics that cannot be computed from what was given, DataError when no
    user has a relevant test item.
    """
    measures = select(metrics, cutoffs)
    _check(measures, lists, split, ratings, scorer)
    train = split.train
    candidates = np.ones(train.n_items, bool) if candidates is None else candidates
    held = holdout(split, relevance_threshold)
    judged = judge(lists, held, Catalogue(split, candidates), list_length(measures))
    ranked = None
    if scorer is not None and any(measure.metric.kind is Kind.SCORES for measure in measures):
        ranked = rank_all(scorer, held, split.seen() if exclude_seen else None, candidates)
    users = held.users if ratings is None else np.union1d(held.users, ratings.user_idx)
    trained = len(train.interactions) > 0  # without training there are no segments
    of_items = item_segments(train.interactions) if trained else {}

    columns: dict[str, AnyArray] = {"user_idx": users}
    if trained:
        columns |= user_segments(train.interactions, users)
        columns |= {name: members[users] for name, members in split.user_segments.items()}
    columns["n_relevant"] = _spread(held.n_relevant, held.users, users, 0)
    for name, values in per_row(measures, judged, ranked):
        columns[name] = _spread(values, held.users, users, np.nan)
    if ratings is not None:
        columns |= error_sums(ratings, users, np.ones(len(ratings.truth), bool))
    restricted = [m for m in measures if m.metric.kind in (Kind.RELEVANCE, Kind.SCORES)]
    for segment, items in of_items.items():
        part = judged.within(items)
        for name, values in per_row(restricted, part, ranked and ranked.within(items)):
            columns[f"{segment}/{name}"] = _spread(values, part.users, users, np.nan)
        if ratings is not None:
            sums = error_sums(ratings, users, items[ratings.item_idx])
            columns |= {f"{segment}/{name}": values for name, values in sums.items()}

    table = summarize(columns, seed=seed, n_resamples=n_resamples)
    whole = [estimate for estimate in table if not estimate.segment]
    parts = [estimate for estimate in table if estimate.segment]
    facts = _facts(lists, judged, ratings)
    return Evaluation(columns, (*whole, *list_sets(measures, judged), *parts), facts)


def _check(
    measures: Sequence[Measure],
    lists: TopK,
    split: Split,
    ratings: RatedPairs | None,
    scorer: Scores | None,
) -> None:
    depth, width = list_length(measures), lists.items.shape[1]
    if width < min(depth, split.train.n_items):
        raise ConfigError(
            f"lists of {width} items cannot be measured at cutoff {depth}: "
            f"recommend {depth} items, or lower the cutoffs"
        )
    for measure in measures:
        if measure.metric.kind is Kind.ERRORS and ratings is None:
            why = "has no ratings" if not split.train.explicit else "were not predicted"
            raise ConfigError(
                f"metric '{measure.name}' needs ratings, but {split.train.name} {why}: "
                "leave the metric out"
            )
        if measure.metric.kind is Kind.SCORES and scorer is None:
            raise ConfigError(
                f"metric '{measure.name}' needs the scores of all items, not lists: leave it out"
            )


def per_row(
    measures: Sequence[Measure], judged: Judged, ranked: Ranked | None = None
) -> Iterator[tuple[str, FloatArray]]:
    """Yield the MLflow name and the values, float64 (n,), of every per-user measure."""
    n = len(judged.users)
    at = {k: judged.at(k) for k in {measure.cutoff for measure in measures} if k is not None}
    for measure in measures:
        if measure.metric.kind in (Kind.LISTS, Kind.ERRORS):
            continue
        record = ranked if measure.cutoff is None else at[measure.cutoff]
        # A metric need not know what to do without users.
        values = np.asarray(measure.metric(record), np.float64) if n else np.zeros(0)
        if values.shape != (n,):
            raise ConfigError(
                f"metric '{measure.name}' returned shape {values.shape}; "
                f"expected one value per user, ({n},)"
            )
        yield mlflow_name(measure.name), values


def list_sets(measures: Sequence[Measure], judged: Judged) -> Iterator[Estimate]:
    """Yield the estimates of the metrics of all lists together; they have no interval."""
    for measure in measures:
        if measure.metric.kind is Kind.LISTS and measure.cutoff is not None:
            value = float(measure.metric(judged.at(measure.cutoff)))
            yield Estimate(measure.name, "", value, np.nan, np.nan, len(judged.users))


def error_sums(ratings: RatedPairs, users: IdxArray, kept: BoolArray) -> dict[str, AnyArray]:
    """The count of each user's rated pairs at `kept`, and the sums of their errors."""
    row = np.searchsorted(users, ratings.user_idx[kept])
    error = (ratings.prediction - ratings.truth)[kept]
    n = len(users)
    sums = (
        np.bincount(row, minlength=n),
        np.bincount(row, error**2, minlength=n),
        np.bincount(row, np.abs(error), minlength=n),
    )
    return dict(zip(ERROR_SUMS, sums, strict=True))


def _spread(values: AnyArray, of: IdxArray, users: IdxArray, missing: float) -> AnyArray:
    """`values` of the users `of` as a column of all `users`, of whom they are some; ascending."""
    if len(of) == len(users):
        return values
    column = np.full(len(users), missing, values.dtype)
    column[np.isin(users, of, assume_unique=True)] = values
    return column


def _facts(lists: TopK, judged: Judged, ratings: RatedPairs | None) -> dict[str, Any]:
    mine = np.isin(lists.users, judged.users)
    facts: dict[str, Any] = {
        "n_evaluated_users": len(judged.users),
        "n_users_without_list": int((judged.items < 0).all(axis=1).sum()),
        "n_candidates": int(judged.catalogue.candidates.sum()),
        "tied_boundary_share": float(lists.tied_boundary[mine].mean()) if mine.any() else 0.0,
    }
    if ratings is not None:
        facts |= {"rating_source": ratings.rating_source, "fallback_share": ratings.fallback_share}
    return facts
