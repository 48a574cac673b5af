"""What tuning gains, against what choosing gains, on the test data."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from recexp.arrays import FloatArray
from recexp.evaluation.uncertainty import bootstrap_means
from recexp.rng import derive
from recexp.study.definition import Rows
from recexp.study.found import Found

_RESAMPLES = 2000


def tables(found: Found) -> Mapping[str, Rows]:
    """Return the gain of tuning by algorithm, and tuning against choosing.

    All differences are paired over users; their intervals are of the same resamples.
    """
    plain = {run.params["algo"]: run for run in found.runs}
    tuned = {one.algo: one for one in found.tuned}
    algos = [algo for algo in plain if algo in tuned]
    values = found.matrix([plain[a] for a in algos] + [tuned[a].run for a in algos])
    resampled = bootstrap_means(values, derive(42, "study"), _RESAMPLES)
    means, n = values.mean(axis=1), len(algos)
    title = f"{found.metric} on test"
    gains: Rows = [
        ["algo", "validation: default, tuned", f"{title}: default", "tuned", "gain [95 % interval]"]
    ]
    for i, algo in enumerate(algos):
        one = tuned[algo]
        gains.append(
            [
                algo,
                f"{one.default:.3f}, {one.best:.3f}",
                f"{means[i]:.3f}",
                f"{means[n + i]:.3f}",
                _interval(means[n + i] - means[i], resampled[n + i] - resampled[i]),
            ]
        )
    chosen = int(np.argmax([tuned[a].default for a in algos]))
    both = int(np.argmax([tuned[a].best for a in algos]))
    every = list(range(n))
    rows = {
        "an algorithm at random, default": (every, resampled[:n].mean(axis=0)),
        "an algorithm at random, tuned": ([n + i for i in every], resampled[n:].mean(axis=0)),
        f"best default on validation ({algos[chosen]})": ([chosen], resampled[chosen]),
        f"best tuned on validation ({algos[both]})": ([n + both], resampled[n + both]),
    }
    first = means[:n].mean()
    against: Rows = [["what one does", title, "gain over the first [95 % interval]"]]
    for name, (which, again) in rows.items():
        value = means[which].mean()
        gain = _interval(value - first, again - resampled[:n].mean(axis=0))
        against.append([name, f"{value:.3f}", "–" if which == every else gain])
    return {"What tuning gains": gains, "Tuning against choosing": against}


def _interval(value: float, resampled: FloatArray) -> str:
    low, high = np.percentile(resampled, [2.5, 97.5])
    return f"{value:+.3f} [{low:+.3f}, {high:+.3f}]"
