"""Deviation over seeds, beside the interval over users and the differences between methods."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np

from recexp.evaluation.uncertainty import bootstrap_means
from recexp.rng import derive
from recexp.study.definition import Rows
from recexp.study.found import Found

_RESAMPLES = 2000


def tables(found: Found) -> Mapping[str, Rows]:
    """Return each method over its seeds, and each pair of methods.

    A pair's interval is of the difference of the means over seeds, over resampled users; the last
    column is the share of pairs of seeds in which the order is that of these means.
    """
    algos = list(dict.fromkeys(run.params["algo"] for run in found.runs))
    runs = sorted(found.runs, key=lambda run: algos.index(run.params["algo"]))
    values = found.matrix(runs)
    of = np.array([algos.index(run.params["algo"]) for run in runs])
    scores = [values[of == i].mean(axis=1) for i in range(len(algos))]  # by seed
    users = np.stack([values[of == i].mean(axis=0) for i in range(len(algos))])
    resampled = bootstrap_means(users, derive(42, "study"), _RESAMPLES)
    methods: Rows = [
        ["algo", "seeds", f"{found.metric}: mean", "sd over seeds", "least, most", "sd over users"]
    ]
    for i, algo in enumerate(algos):
        one = scores[i]
        methods.append(
            [
                algo,
                str(len(one)),
                f"{one.mean():.4f}",
                f"{one.std(ddof=1):.4f}",
                f"{one.min():.4f}, {one.max():.4f}",
                f"{resampled[i].std():.4f}",
            ]
        )
    pairs: Rows = [
        ["methods", "difference [95 % interval over users]", "sd of it over seeds", "same order"]
    ]
    for i, j in combinations(range(len(algos)), 2):
        difference = float(scores[i].mean() - scores[j].mean())
        low, high = np.percentile(resampled[i] - resampled[j], [2.5, 97.5])
        noise = float(np.hypot(scores[i].std(ddof=1), scores[j].std(ddof=1)))
        each = scores[i][:, None] - scores[j][None, :]
        same = float((np.sign(each) == np.sign(difference)).mean())
        pairs.append(
            [
                f"{algos[i]} - {algos[j]}",
                f"{difference:+.4f} [{low:+.4f}, {high:+.4f}]",
                f"{noise:.4f}",
                f"{same:.2f}",
            ]
        )
    return {"Methods over seeds": methods, "Differences": pairs}
