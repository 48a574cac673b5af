"""Times the algorithms against the libraries that train them, in one process.

    python benchmarks/algorithms.py surprise-top10   top-10 for everybody: ours, Surprise's own way
    python benchmarks/algorithms.py fit              what the adapters add to the library's fit
    python benchmarks/algorithms.py score            all scores, against the libraries' predict
    python benchmarks/algorithms.py ease             against the bare matrix inverse
    python benchmarks/algorithms.py itemknn          against implicit's neighbors

On MovieLens-100K (from RECEXP_DATA_DIR/ml-100k, else the cache or the network), or with
`--data 1m` on synthetic data of MovieLens-1M's size.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from recexp.algorithms.ease import EASE
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
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("benchmark", choices=list(BENCHMARKS))
    parser.add_argument("--data", choices=["100k", "1m"], default="100k")
    arguments = parser.parse_args()
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
    """The adapter's fit against the library's: bare, and with the library's own data loading."""
    import pandas as pd
    import surprise

    rows = data.interactions
    table = pd.DataFrame({"user": rows.user_idx, "item": rows.item_idx, "rating": rows.value})
    reader = surprise.Reader(rating_scale=data.scale)

    def load() -> Any:
        return surprise.Dataset.load_from_df(table, reader).build_full_trainset()

    for model in (SVD(), SVDpp(), Baseline(), KNNBaseline()):
        trainset = load()
        bare_s, _ = best_of(3, lambda m=model, t=trainset: m._untrained().fit(t))
        whole_s, _ = best_of(3, lambda m=model: m._untrained().fit(load()))
        ours_s, _ = best_of(3, lambda m=model: replace(m).fit(data))
        found = (
            f"{type(model).__name__}: adapter {ours_s:.3f} s; library {whole_s:.3f} s from a table"
        )
        ratios = f"{ours_s / whole_s:.2f} and {ours_s / bare_s:.2f} times"
        print(f"{found}, {bare_s:.3f} s from its ready training set: {ratios}")


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
        theirs_s, _ = best_of(1, lambda m=library, p=pairs: [m.predict(u, i) for u, i in p])
        ours_s, _ = best_of(2, lambda m=model: in_blocks(m, users, data.n_items))
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


def ease(data: Dataset) -> None:
    """EASE against the bare inverse of a matrix as large, on made-up clicks on 8,000 items."""
    clicks = skewed_clicks(20_000, 8_000, 1_000_000)
    gram = np.eye(clicks.n_items) + 1e-4
    bare_s, _ = best_of(1, lambda: np.linalg.inv(gram))
    ours_s, _ = best_of(1, lambda: EASE().fit(clicks))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"EASE, 8,000 items: {ours_s:.1f} s, bare inverse {bare_s:.1f} s, peak {peak:.1f} GB")


def itemknn(data: Dataset) -> None:
    """The neighbors of all items against the implicit library's, both with two threads."""
    from implicit.nearest_neighbours import CosineRecommender
    from scipy.sparse import csr_matrix

    clicks = skewed_clicks(40_000, 8_000, 3_000_000)
    rows = csr_matrix(clicks.interactions.csr("ones"), dtype=np.float64)
    library = CosineRecommender(K=100, num_threads=2)
    theirs_s, _ = best_of(2, lambda: library.fit(rows, show_progress=False))
    model = ItemKNN(similarity="cosine", shrinkage=0.0, threads=2)
    ours_s, _ = best_of(2, lambda: model.fit(clicks))
    report("ItemKNN, 3 million clicks on 8,000 items", theirs_s, ours_s, "implicit", "ours")


def skewed_clicks(n_users: int, n_items: int, n: int) -> Dataset:
    """Distinct clicks whose items have popularity rank^-0.8."""
    rng = np.random.default_rng(0)
    popularity = np.power(1.0 + np.arange(n_items), -0.8)
    users = rng.integers(n_users, size=n)
    items = rng.choice(n_items, n, p=popularity / popularity.sum())
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


def best_of(rounds: int, work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the smallest time of some rounds, in seconds, and the last result."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        result = work()
        times.append(time.perf_counter() - start)
    return min(times), result


def report(what: str, theirs_s: float, ours_s: float, theirs: str, ours: str) -> None:
    """Print both times and their ratio."""
    ratio = theirs_s / ours_s
    print(f"{what}: {theirs} {theirs_s:.2f} s, {ours} {ours_s:.3f} s: ratio {ratio:.1f}")


BENCHMARKS: dict[str, Callable[[Dataset], None]] = {
    "surprise-top10": surprise_top10,
    "fit": fit,
    "score": score,
    "ease": ease,
    "itemknn": itemknn,
}

if __name__ == "__main__":
    main()
