"""Functions compiled by numba, their machine code kept in the cache folder."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import cache
from typing import Any

from recexp.data.cache import cache_folder


@cache
def available() -> bool:
    """Return whether numba is installed; all that is compiled has a slower twin."""
    return importlib.util.find_spec("numba") is not None


@cache
def compiled(function: Callable[..., Any], types: str) -> Any:
    """Return `function` as machine code for arguments of these types (numba's words for them).

    It holds no lock of the interpreter, so that threads run side by side; indices are not checked,
    and divisions are NumPy's. Importing numba takes about half a second; where no folder can be
    written, each process compiles for some seconds. Kept code is compiled anew when the function's
    own file changes, and no other: sizes of arrays are asked of the arrays, never of a constant
    from elsewhere. Raises ImportError when numba cannot be imported.
    """
    import numba

    options: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
    config: Any = numba.config
    chosen = config.CACHE_DIR
    config.CACHE_DIR = chosen or str(cache_folder() / "numba")
    try:
        return numba.njit(types, cache=True, **options)(function)
    except (RuntimeError, OSError):  # no folder to cache in
        return numba.njit(types, **options)(function)
    finally:
        config.CACHE_DIR = chosen


def signature(result: str, *arguments: str) -> str:
    """Return numba's words for a function of arrays in C order, most of which it only reads.

    Types are numba's, with `[]` for each axis of an array, and `!` for one that is written.

    >>> signature("void", "int64", "float32[][]", "int32[]!")
    "void(int64, Array(float32, 2, 'C', readonly=True), Array(int32, 1, 'C', readonly=False))"
    """

    def told(name: str) -> str:
        dtype, n_axes = name.partition("[")[0], name.count("[")
        array = f"Array({dtype}, {n_axes}, 'C', readonly={not name.endswith('!')})"
        return array if n_axes else name

    return f"{result}({', '.join(map(told, arguments))})"
