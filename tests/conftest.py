"""Data for the tests: MovieLens-100K as published, and a small synthetic dataset."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from recexp.data.dataset import Dataset
from recexp.data.movielens import load_movielens
from recexp.data.synthetic import make_synthetic


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the tests' cache out of the user's, unless the environment names one."""
    with pytest.MonkeyPatch.context() as patch:
        if "RECEXP_CACHE" not in os.environ:
            patch.setenv("RECEXP_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def movielens() -> Dataset:
    """MovieLens-100K: from RECEXP_DATA_DIR, else from the cache or the network; fails without."""
    folder = os.environ.get("RECEXP_DATA_DIR")
    return load_movielens(path=str(Path(folder) / "ml-100k") if folder else None)


@pytest.fixture(scope="session")
def synthetic() -> Dataset:
    """300 users x 200 items with planted tastes, ratings 1-5 and timestamps."""
    return make_synthetic()
