"""Kernels are compiled with or without a folder to keep them in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest

from recexp.data.compiled import compiled, signature

TYPES = signature("void", "float32[]", "float32[]!")


def _double(values: Any, doubled: Any) -> None:
    for at in range(len(values)):
        doubled[at] = 2 * values[at]


@pytest.mark.parametrize("writable", [True, False])
def test_the_machine_code_is_kept_where_it_can_be(
    writable: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "cache"
    if not writable:
        folder.write_text("a file, so no folder can be made here")
    monkeypatch.setenv("RECEXP_CACHE", str(folder))
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    kernel = compiled.__wrapped__(_double, TYPES)
    values, doubled = np.arange(3, dtype=np.float32), np.empty(3, np.float32)
    values.flags.writeable = False
    kernel(values, doubled)
    assert doubled.tolist() == [0, 2, 4]
    assert bool(list(folder.glob("numba/**/*.nbi"))) == writable
    assert numba.config.CACHE_DIR == ""
