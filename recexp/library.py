"""The parts of a run by name, for those who walk the line by hand."""

from __future__ import annotations

import json
from typing import Any

from recexp import build
from recexp.config import compose
from recexp.data.dataset import Dataset


def load_dataset(name: str, **options: Any) -> Dataset:
    """Return the dataset that `dataset=NAME` chooses, with `dataset.KEY` set for every option.

    Nothing is preprocessed. Raises ConfigError for unknown names and options, DataError for data
    that is missing or broken.

    Example: `recexp.load_dataset("movielens", variant="1m")`
    """
    overrides = [f"dataset={name}"]
    overrides += [f"++dataset.{key}={json.dumps(value)}" for key, value in options.items()]
    config = compose(overrides).config.dataset
    dataset: Dataset = build.bind(build.plain(config), "dataset")()
    return dataset
