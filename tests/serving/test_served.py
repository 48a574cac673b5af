"""Runs share their events only where these mean the same to both."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recexp.algorithms.popularity import Popularity
from recexp.data.dataset import Dataset
from recexp.errors import ConfigError
from recexp.fitted import FittedModel
from recexp.serving.served import Run, Served, check_together, find
from recexp.tracking.records import RunReader


def served(data: Dataset, run_id: str = "a" * 32, name: str = "popular") -> Served:
    return Served(Run(run_id, name, Path(), {}), FittedModel(Popularity().fit(data), data))


def test_runs_of_other_ids_or_ratings_are_not_served_together(shop: Dataset) -> None:
    check_together([served(shop), served(shop, "b" * 32)])
    with pytest.raises(ConfigError, match="have not the same scale of ratings"):
        check_together([served(shop), served(replace(shop, scale=(0.5, 5.0)), "b" * 32)])
    texts = Dataset.from_columns("texts", np.array(["a"]), np.array([1]), [3.0], scale=(1.0, 5.0))
    with pytest.raises(ConfigError, match="have not the same kind of ids"):
        check_together([served(shop), served(texts, "b" * 32)])
    with pytest.raises(ConfigError, match="that is the same run"):
        check_together([served(shop), served(shop)])


def test_a_run_is_found_with_its_name_and_its_headline_metrics(
    recorded: Any, tmp_path: Path
) -> None:
    run = find(recorded.ids["small/ease"], RunReader(recorded.uri))
    assert run.name == "ease-synthetic-temporal"
    assert run.short == recorded.ids["small/ease"][:8]
    assert {"ndcg_at_10", "precision_at_5"} <= run.metrics.keys()
    assert not any("/" in one or one.endswith("_ci_low") for one in run.metrics)
    (tmp_path / "ease-synthetic-20260101" / "model").mkdir(parents=True)
    run = find(str(tmp_path / "ease-synthetic-20260101"), RunReader(recorded.uri))
    assert run.name == run.short == "ease-synthetic-20260101"
    assert run.metrics == {}


def test_a_run_answers_to_its_names(shop: Dataset) -> None:
    one = served(shop, "0123456789abcdef" * 2)
    for name in ("popular", "0123456789abcdef" * 2, "01234567"):
        assert one.answers_to(name)
    assert not one.answers_to("0123")
