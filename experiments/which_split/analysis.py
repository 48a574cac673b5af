"""Rank correlation of the algorithms between protocols, with intervals over users."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np

from recexp.arrays import FloatArray
from recexp.evaluation.uncertainty import bootstrap_means
from recexp.rng import derive
from recexp.study.definition import Rows
from recexp.study.found import Found

_RESAMPLES = 2000


def tables(found: Found) -> Mapping[str, Rows]:
    """Return who leads under each protocol, and how alike the orders are.

    The users of each protocol are resampled; everything is computed again on each resample.
    """
    splits = list(dict.fromkeys(run.params["split"] for run in found.runs))
    by_split = {
        split: {run.params["algo"]: run for run in found.runs if run.params["split"] == split}
        for split in splits
    }
    algos = [one for one in by_split[splits[0]] if all(one in by_split[s] for s in splits)]
    means, resampled = {}, {}
    for split in splits:
        values = found.matrix([by_split[split][algo] for algo in algos])
        means[split] = values.mean(axis=1)
        resampled[split] = bootstrap_means(values, derive(42, "study", split), _RESAMPLES)
    leaders: Rows = [["split", "best", "share of resamples in which it leads", "second"]]
    for split in splits:
        order = np.argsort(-means[split], kind="stable")
        leads = (resampled[split].argmax(axis=0) == order[0]).mean()
        leaders.append([split, algos[order[0]], f"{leads:.2f}", algos[order[1]]])
    alike: Rows = [["protocols", "Kendall tau [95 % interval]", "pairs in the other order"]]
    for a, b in combinations(splits, 2):
        tau = float(kendall(means[a][:, None], means[b][:, None])[0])
        low, high = np.percentile(kendall(resampled[a], resampled[b]), [2.5, 97.5])
        pairs = len(algos) * (len(algos) - 1) // 2
        changed = round((1 - tau) / 2 * pairs)
        alike.append([f"{a}, {b}", f"{tau:.2f} [{low:.2f}, {high:.2f}]", f"{changed} of {pairs}"])
    return {"Who leads": leaders, "How alike the orders are": alike}


def kendall(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return Kendall's tau-a of the rows of each column of `a` and `b`, float64 (n_columns,)."""
    i, j = np.triu_indices(len(a), 1)
    found: FloatArray = (np.sign(a[i] - a[j]) * np.sign(b[i] - b[j])).mean(axis=0)
    return found
