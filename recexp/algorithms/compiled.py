"""Kernels compiled by numba: imported when first used, machine code kept between processes."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from recexp.data.cache import cache_folder


@cache
def compiled(kernel: Callable[..., Any], result: str, *arguments: str) -> Callable[..., Any]:
    """Return `kernel` compiled for these types, so that threads run it side by side.

    Types are numba's (`int64`), with `[]` for each axis of an array in C order that the kernel
    only reads (`float32[][]`) and `[]!` at the end for one that it writes. Indices are not checked.
    Importing numba takes about a second; the machine code is kept in the cache folder, where the
    first call on a machine leaves it after some seconds. Without a folder that can be written,
    each process compiles. Raises ImportError when numba cannot be imported.
    """
    import numba

    signature = _type(numba, result)(*(_type(numba, argument) for argument in arguments))
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
    config: Any = numba.config
    chosen = config.CACHE_DIR
    config.CACHE_DIR = chosen or str(cache_folder() / "numba")
    try:
        found: Callable[..., Any] = numba.njit(signature, cache=True, **options)(kernel)
    except (RuntimeError, OSError):  # no folder to cache in
        found = numba.njit(signature, **options)(kernel)
    finally:
        config.CACHE_DIR = chosen
    return found


def _type(numba: Any, name: str) -> Any:
    dtype, n_axes, writes = name.split("[")[0], name.count("["), name.endswith("!")
    scalar = getattr(numba, dtype)
    return numba.types.Array(scalar, n_axes, "C", readonly=not writes) if n_axes else scalar
