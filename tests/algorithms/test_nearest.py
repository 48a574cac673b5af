"""The nearest rows, by NumPy and by numba, against a plain sort."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array

from recexp.algorithms import nearest as module
from recexp.algorithms.nearest import Rows, by_numba, by_numpy, nearest
from recexp.algorithms.similarity import SIMILARITIES, Weighting


def binary(n_rows: int, n_columns: int, density: float, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    return csr_array((rng.random((n_rows, n_columns)) < density).astype(np.float32))


@pytest.fixture(params=[by_numpy, by_numba])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_way", lambda queries, columns: request.param)
    monkeypatch.setattr(module, "_BLOCK", 41 * 7)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("k", [1, 5, 41, 60])
@pytest.mark.parametrize("threads", [1, 3])
def test_the_best_of_each_row_are_exact_also_among_equals(k: int, threads: int) -> None:
    rows, queries = binary(41, 9, 0.3), binary(100, 9, 0.3, seed=1)
    # Whole numbers divided by 4: many are equal, and all are exact.
    similarities = (queries @ rows.T).toarray() / 4
    expected = np.zeros_like(similarities)
    for row, values in enumerate(similarities):
        best = np.argsort(-values, kind="stable")[:k]
        expected[row, best] = values[best]
    free = (np.ones(n, np.float32) for n in (100, 100, 41, 41))
    found = nearest(
        Rows(queries, next(free), next(free)),
        Rows(rows, next(free), next(free)),
        np.ones(9),
        k,
        shrinkage=3.0,
        exclude_self=False,
        threads=threads,
    )
    np.testing.assert_array_equal(found.toarray(), expected)
    assert found.has_sorted_indices


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_numba_and_numpy_agree_to_the_last_bit(similarity: Any) -> None:
    rows = binary(300, 80, 0.1)
    weighting = Weighting.learn(rows, similarity)
    compared = weighting.apply(rows)
    problem = module._Problem(
        compared,
        compared,
        rows.T.tocsr(),
        (weighting.columns**2).astype(np.float32),
        np.float32(2.5),
    )
    for part in (slice(0, 200), slice(200, 300)):
        ones, others = (way(problem, 20, True)(part) for way in (by_numpy, by_numba))
        for one, other in zip(ones, others, strict=True):
            np.testing.assert_array_equal(one, other)


def test_small_problems_do_not_import_numba_and_large_ones_do_without_it() -> None:
    program = (
        "import sys\n"
        "import numpy as np\n"
        "from scipy.sparse import csr_array\n"
        "from recexp.algorithms import nearest as module\n"
        "from recexp.algorithms.similarity import Weighting\n"
        "rows = csr_array(np.eye(6, dtype=np.float32) + np.eye(6, k=1, dtype=np.float32))\n"
        "weighting = Weighting.learn(rows, 'cosine')\n"
        "compared = weighting.apply(rows)\n"
        "options = {'exclude_self': True, 'threads': 1}\n"
        "small = module.nearest(compared, compared, weighting.columns, 2, 0.0, **options)\n"
        "assert 'numba' not in sys.modules\n"
        "sys.modules['numba'] = None\n"
        "module.COMPILED_FROM = 0\n"
        "large = module.nearest(compared, compared, weighting.columns, 2, 0.0, **options)\n"
        "assert (small != large).nnz == 0 and small.nnz == 10\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
