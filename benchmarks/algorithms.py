"""Times the algorithms against the libraries that train them, in one process.

    python benchmarks/algorithms.py surprise-top10   top-10 for everybody: ours, Surprise's own way
    python benchmarks/algorithms.py fit              what the adapters add to the library's fit
    python benchmarks/algorithms.py fit-factors      the same for LightFM, BPR and ALS; ALS's nu
    python benchmarks/algorithms.py score            all scores, against the libraries' predict
    python benchmarks/algorithms.py ease             8,000 items, against the bare matrix inverse
    python benchmarks/algorithms.py ease-large       the same with 20,000 items; needs 10 GB
    python benchmarks/algorithms.py itemknn          8,000 items, against implicit's neighbors
    python benchmarks/algorithms.py itemknn-20m      the same on data as large as MovieLens-20M

The first ones use MovieLens-100K (from RECEXP_DATA_DIR/ml-100k, else the cache or the network), or
with `--data 1m` synthetic data of MovieLens-1M's size; the last four make up their clicks. Each
prints the times of all sides, the best of several turns taken one after the other, and their ratio.
"""

from __future__ import annotations

import argparse
import copy
import os
import resource
import time
import warnings
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from recexp.algorithms.bpr import BPR
from recexp.algorithms.ease import EASE
from recexp.algorithms.implicit import ALS
from recexp.algorithms.lightfm import LightFM
from recexp.algorithms.neighbors import ItemKNN
from recexp.algorithms.surprise.baseline import Baseline
from recexp.algorithms.surprise.factors import SVD, SVDpp
from recexp.algorithms.surprise.knn import KNNBaseline
from recexp.algorithms.surprise.trainset import train_with_surprise
from recexp.data.dataset import Dataset
from recexp.data.ids import IdMap
from recexp.data.movielens import load_movielens
from recexp.data.synthetic import make_synthetic
from recexp.evaluation.recommend import recommend
from recexp.evaluation.topk import DENSE_BLOCK
from recexp.splits.base import Split


def main() -> None:
    """Run the benchmark named on the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("benchmark", choices=[*BENCHMARKS, *MADE_UP])
    parser.add_argument("--data", choices=["100k", "1m"], default="100k", help="not of the last 4")
    arguments = parser.parse_args()
    if arguments.benchmark in MADE_UP:
        MADE_UP[arguments.benchmark]()
    else:
        BENCHMARKS[arguments.benchmark](data_of(arguments.data))


def data_of(size: str) -> Dataset:
    """The dataset to measure on."""
    if size == "1m":
        return make_synthetic(6_040, 3_706, 1_000_209)
    folder = os.environ.get("RECEXP_DATA_DIR")
    return load_movielens(path=str(Path(folder) / "ml-100k") if folder else None)


def surprise_top10(data: Dataset) -> None:
    """Top-10 of the unseen items for every user, with the same fitted SVD."""
    model = SVD().fit(data)
    library = train_with_surprise(model._untrained(), data).model
    nothing = data.interactions.select(np.empty(0, np.int64))
    users = np.arange(data.n_users, dtype=np.int32)

    ours_s, ours = best_of(5, lambda: recommend(model, Split(data, nothing), users, 10, threads=2))
    theirs_s, theirs = best_of(1, lambda: top10_of_surprise(library))

    same = equivalent = 0
    for user, mine in zip(users.tolist(), ours.lists.items.tolist(), strict=True):
        yours = [item for item, _ in theirs[user]]
        same += mine == yours
        # Surprise clips to the scale: above its top everything is tied.
        estimates = [library.predict(user, item).est for item in mine]
        equivalent += np.allclose(estimates, [est for _, est in theirs[user]], atol=1e-6)
    report("top-10 for all users", theirs_s, ours_s, "build_anti_testset + test", "score + top_k")
    print(f"lists equal up to ties: {equivalent} of {data.n_users} (item by item: {same})")


def top10_of_surprise(library: Any) -> dict[int, list[tuple[int, float]]]:
    """The ten best items of each user as the library's documentation finds them."""
    predictions = library.test(library.trainset.build_anti_testset())
    found: dict[int, list[tuple[int, float]]] = defaultdict(list)
    for user, item, _, estimate, _ in predictions:
        found[user].append((item, estimate))
    for user, rated in found.items():
        found[user] = sorted(rated, key=lambda pair: pair[1], reverse=True)[:10]
    return found


def fit(data: Dataset) -> None:
    """The adapter's fit against the library's: bare, and with the library's own data loading.

    In seconds of the processor: all of them are computed by one thread.
    """
    import pandas as pd
    import surprise

    rows = data.interactions
    table = pd.DataFrame({"user": rows.user_idx, "item": rows.item_idx, "rating": rows.value})
    reader = surprise.Reader(rating_scale=data.scale)

    def load() -> Any:
        return surprise.Dataset.load_from_df(table, reader).build_full_trainset()

    knn, by_items = KNNBaseline(), KNNBaseline(user_based=False)
    for model in (SVD(), Baseline(), knn, by_items, SVDpp()):
        trainset = load()
        trainset.global_mean  # noqa: B018 it is computed once
        bare_s, whole_s, ours_s = interleaved(
            3,
            partial(train, model, partial(copy.copy, trainset)),
            partial(train, model, load),
            partial(fit_anew, model, data),
            clock=time.process_time,
        )
        name = type(model).__name__ + (" of items" if getattr(model, "user_based", 1) == 0 else "")
        print(
            f"{name}: adapter, from a dataset to a model that can score, {ours_s:.3f} s = "
            f"{ours_s / whole_s:.2f} times Surprise from a table ({whole_s:.3f} s), "
            f"{ours_s / bare_s:.2f} times Surprise from its ready training set ({bare_s:.3f} s)"
        )


def train(model: Any, load: Callable[[], Any]) -> None:
    """Fit Surprise's algorithm with the hyperparameters of `model`."""
    model._untrained().fit(load())


def fit_anew(model: Any, data: Dataset) -> None:
    """Fit a new adapter with the hyperparameters of `model`."""
    replace(model).fit(data)


def predict_each(library: Any, pairs: list[tuple[int, int]]) -> None:
    """Predict pair by pair, as Surprise does."""
    for user, item in pairs:
        library.predict(user, item)


def fit_factors(data: Dataset) -> None:
    """The adapters' fit against the bare fit of LightFM and implicit, and ALS with a nu.

    Processor time, so that what else runs does not count.
    """
    import implicit.cpu.als
    import implicit.cpu.bpr
    import lightfm
    from scipy.sparse import csr_matrix

    likes = csr_matrix(data.positives().csr("ones"))
    als, bpr, warp = ALS(threads=2), BPR(epochs=20), LightFM(item_features=False, epochs=5)
    warp = replace(warp, user_features=False)

    def bare_warp() -> Any:
        return lightfm.LightFM(32, loss="warp", random_state=42).fit(likes, epochs=5)

    def bare_bpr() -> Any:
        library = implicit.cpu.bpr.BayesianPersonalizedRanking(
            64, iterations=20, num_threads=1, random_state=42
        )
        return library.fit(likes, show_progress=False)

    def bare_als() -> Any:
        library = implicit.cpu.als.AlternatingLeastSquares(
            64, regularization=50.0, alpha=10.0, num_threads=2, random_state=42
        )
        return library.fit(likes, show_progress=False)

    def plain_als() -> Any:
        return replace(als).fit(data)

    pairs = {
        "LightFM": (bare_warp, lambda: replace(warp).fit(data)),
        "BPR": (bare_bpr, lambda: replace(bpr).fit(data)),
        "ALS": (bare_als, plain_als),
        "ALS, nu=1": (plain_als, lambda: replace(als, frequency_exponent=1.0).fit(data)),
    }
    for name, (theirs, ours) in pairs.items():
        with threadpool_limits(1, user_api="blas"):
            theirs_s, ours_s = interleaved(4, theirs, ours, clock=time.process_time)
        without = "nu=0" if "nu" in name else "library"
        print(f"{name}: {ours_s:.3f} s; {without} {theirs_s:.3f} s: {ours_s / theirs_s:.2f} times")


def score(data: Dataset) -> None:
    """Scores of all pairs, against the library's predict on a sample scaled up to all pairs."""
    rng = np.random.default_rng(0)
    users = np.arange(data.n_users, dtype=np.int32)
    n_pairs = data.n_users * data.n_items
    some = rng.integers(data.n_users, size=20_000), rng.integers(data.n_items, size=20_000)
    knn, by_items = KNNBaseline(), KNNBaseline(user_based=False)
    for model, name, sample in (
        (SVD(), "SVD", 20_000),
        (knn, "KNNBaseline of users", 2_000),
        (by_items, "KNNBaseline of items", 2_000),
    ):
        model.fit(data)
        library = train_with_surprise(model._untrained(), data).model
        pairs = list(zip(*(side[:sample].tolist() for side in some), strict=True))
        in_blocks(model, users[:1], data.n_items)  # loads numba where it is used
        theirs_s, ours_s = interleaved(
            2,
            partial(predict_each, library, pairs),
            partial(in_blocks, model, users, data.n_items),
        )
        report(f"{name}, all scores", theirs_s * n_pairs / sample, ours_s, "predict", "score")

    from lightfm import LightFM as Library
    from scipy.sparse import coo_matrix

    hybrid = LightFM(epochs=1, item_features=False, user_features=False).fit(data)
    rows = data.positives()
    ones = np.ones(len(rows), np.float32)
    at = rows.user_idx.copy(), rows.item_idx.copy()
    library = Library(hybrid.n_factors, loss="warp").fit(coo_matrix((ones, at)))
    items = np.arange(int(at[1].max()) + 1)
    asked = [int(user) for user in np.unique(at[0])]
    theirs_s, _ = best_of(2, lambda: [library.predict(user, items) for user in asked])
    ours_s, _ = best_of(2, lambda: in_blocks(hybrid, users, data.n_items))
    report("LightFM, all scores", theirs_s, ours_s, "predict a user", "score")


def ease(n_items: int, n: int) -> None:
    """EASE against the bare inverse of a matrix as large; with its data and memory."""
    clicks = skewed_clicks(2 * n_items, n_items, n)
    large = n_items > 10_000
    ours_s, _ = best_of(1 if large else 2, lambda: EASE().fit(clicks))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    gram = np.eye(n_items) + 1e-4
    bare_s, _ = best_of(1 if large else 2, lambda: np.linalg.inv(gram))
    print(f"peak memory of EASE with {n_items:,} items and {n:,} clicks: {peak:.1f} GB")
    report(f"EASE, {n_items:,} items", bare_s, ours_s, "bare inverse", "whole fit")


def itemknn(n_users: int, n_items: int, n: int) -> None:
    """The neighbors of all items against the implicit library's, both with two threads."""
    from implicit.nearest_neighbours import BM25Recommender, CosineRecommender
    from scipy.sparse import csr_matrix

    warnings.simplefilter("ignore")  # the library's, about its own conversions
    clicks = skewed_clicks(n_users, n_items, n)
    rows = csr_matrix(clicks.interactions.csr("ones"), dtype=np.float64)
    for kind, similarity in ((CosineRecommender, "cosine"), (BM25Recommender, "bm25")):
        library = kind(K=100, num_threads=2)
        model = ItemKNN(similarity=similarity, shrinkage=0.0, threads=2)  # type: ignore[arg-type]
        theirs_s, ours_s = interleaved(
            2, partial(library.fit, rows, show_progress=False), partial(model.fit, clicks)
        )
        found = f"ItemKNN ({similarity}), {len(clicks.interactions):,} clicks on {n_items:,} items"
        report(found, theirs_s, ours_s, "implicit", "ours")


def skewed_clicks(n_users: int, n_items: int, n: int) -> Dataset:
    """At most n distinct clicks: lognormal activity, and popularity (rank + 100)^-1.4 of items."""
    rng = np.random.default_rng(0)
    activity = rng.lognormal(size=n_users)
    users = np.repeat(np.arange(n_users), rng.multinomial(n, activity / activity.sum()))
    popularity = np.cumsum(np.power(100.0 + rng.permutation(n_items), -1.4))
    items = np.searchsorted(popularity, popularity[-1] * rng.random(n)).clip(0, n_items - 1)
    pairs = np.unique(users * n_items + items)
    return Dataset.from_indices(
        "clicks", IdMap(range(n_users)), pairs // n_items, IdMap(range(n_items)), pairs % n_items
    )


def in_blocks(model: Any, users: Any, n_items: int) -> None:
    """Score `users` as ranking asks for them: in blocks, by two threads."""
    step = max(1, min(DENSE_BLOCK // n_items, len(users) // 2))
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(2) as workers:
        starts = range(0, len(users), step)
        list(workers.map(lambda start: model.score(users[start : start + step]).shape, starts))


def best_of(
    rounds: int, work: Callable[[], Any], clock: Callable[[], float] = time.perf_counter
) -> tuple[float, Any]:
    """Return the smallest time of some rounds, in seconds, and the last result."""
    times = []
    for _ in range(rounds):
        start = clock()
        result = work()
        times.append(clock() - start)
    return min(times), result


def interleaved(
    rounds: int, *works: Callable[[], Any], clock: Callable[[], float] = time.perf_counter
) -> list[float]:
    """Return the smallest time of each work, in seconds; they take turns."""
    turns = [[best_of(1, work, clock)[0] for work in works] for _ in range(rounds)]
    return [min(times) for times in zip(*turns, strict=True)]


def report(what: str, theirs_s: float, ours_s: float, theirs: str, ours: str) -> None:
    """Print both times and their ratio."""
    ratio = theirs_s / ours_s
    print(f"{what}: {theirs} {theirs_s:.2f} s, {ours} {ours_s:.3f} s: ratio {ratio:.1f}")


BENCHMARKS: dict[str, Callable[[Dataset], None]] = {
    "surprise-top10": surprise_top10,
    "fit": fit,
    "fit-factors": fit_factors,
    "score": score,
}
MADE_UP: dict[str, Callable[[], None]] = {
    "ease": partial(ease, 8_000, 2_000_000),
    "ease-large": partial(ease, 20_000, 5_000_000),
    "itemknn": partial(itemknn, 40_000, 8_000, 3_000_000),
    "itemknn-20m": partial(itemknn, 138_493, 26_744, 23_000_000),
}

if __name__ == "__main__":
    main()
