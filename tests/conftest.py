"""Data for the tests: MovieLens-100K as published, and a small synthetic dataset."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import recexp
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


@dataclass(frozen=True)
class Recorded:
    """A store with runs of two experiments: ids by `<experiment>/<algo>`, overrides of each."""

    uri: str
    ids: dict[str, str]


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """Runs in a store of their own: `small` has one split, `splits` two. Do not write into it."""
    folder = tmp_path_factory.mktemp("recorded")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    data = ["dataset=synthetic", "dataset.n_interactions=5000"]
    jobs = {
        "small": ["algo=popularity", "algo=itemknn", "algo=ease", "algo=als"],
        "splits": ["algo=popularity split=random", "algo=popularity", "algo=itemknn"],
    }
    ids = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", uri)
        patch.chdir(folder)
        for experiment, runs in jobs.items():
            for one in runs:
                words = one.split()
                done = recexp.run(*words, *data, f"experiment_name={experiment}", "plots=false")
                name = "-".join(word.partition("=")[2] for word in words)
                assert done.run_id is not None
                ids[f"{experiment}/{name}"] = done.run_id
    return Recorded(uri, ids)
