"""Inverses of large Gram matrices, in little more memory than the result takes."""

from __future__ import annotations

import numpy as np

from recexp.arrays import Float32Array, FloatArray, Sparse
from recexp.progress import progress

BLOCK = 1024
"""Rows and columns that are eliminated at once: enough to be nearly all matrix products."""

BYTES = 6.0
"""Memory for each pair of rows at the peak: half of the inverse in float32, beside the whole."""


def inverse_of_gram(rows: Sparse, regularization: float) -> list[FloatArray]:
    """Return the lower triangle of (R R' + lambda I)^-1 in panels, for csr `rows` R.

    A panel is float64: at most `BLOCK` rows, and the columns up to that of the last of them; what
    stands above the diagonal in it is meaningful. Panels keep the memory of a triangle; rows and
    columns are eliminated block by block, in place (Gauss and Jordan, as the sweep operator of
    Goodnight, The American Statistician 1979), half the work of `numpy.linalg.inv`. Working on one
    triangle keeps it symmetric: inverting by halves, on both, loses all digits at 3,000 rows.
    LAPACK's Cholesky would be less work still, but OpenBLAS (0.3.30, two threads) writes beyond its
    buffers there for 20,000 rows, and the process dies.

    Raises numpy.linalg.LinAlgError for a matrix that is singular to the last bit.
    """
    panels = _gram(rows, regularization)
    for at in progress(range(len(panels)), "matrix inverse", len(panels)):
        _sweep(panels, at)
    for panel in panels:
        np.negative(panel, out=panel)
    return panels


def diagonal(panels: list[FloatArray]) -> FloatArray:
    """Return the diagonal of a matrix given in panels."""
    return np.concatenate([np.diag(panel, panel.shape[1] - len(panel)) for panel in panels])


def whole(panels: list[FloatArray]) -> Float32Array:
    """Return the symmetric matrix given in panels, float32; they are used up to make room."""
    n = panels[-1].shape[1]
    halves = [panels.pop().astype(np.float32) for _ in range(len(panels))]
    matrix = np.empty((n, n), np.float32)
    for half in halves:
        stop = half.shape[1]
        start = stop - len(half)
        matrix[:stop, start:stop] = half.T
        matrix[start:stop, :stop] = half
    return matrix


def _gram(rows: Sparse, regularization: float) -> list[FloatArray]:
    n, columns = rows.shape[0], rows.T.tocsr()
    panels = []
    for start in range(0, n, BLOCK):
        stop = min(n, start + BLOCK)
        panel = (rows[start:stop] @ columns[:, :stop]).toarray().astype(np.float64)
        panel[np.arange(stop - start), np.arange(start, stop)] += regularization
        panels.append(panel)
    return panels


def _sweep(panels: list[FloatArray], at: int) -> None:
    """Eliminate the rows and columns of a panel; all swept, the matrix is its negative inverse."""
    own, later = panels[at], panels[at + 1 :]
    stop = own.shape[1]
    start = stop - len(own)
    column = np.zeros((panels[-1].shape[1], len(own)))
    column[:start] = own[:, :start].T
    for panel in later:
        column[_rows(panel)] = panel[:, start:stop]
    pivot = np.linalg.inv(own[:, start:])
    scaled = column @ pivot
    for panel in panels:
        panel -= scaled[_rows(panel)] @ column[: panel.shape[1]].T
    own[:, :start], own[:, start:] = scaled[:start].T, -pivot
    for panel in later:
        panel[:, start:stop] = scaled[_rows(panel)]


def _rows(panel: FloatArray) -> slice:
    return slice(panel.shape[1] - len(panel), panel.shape[1])
