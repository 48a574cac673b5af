"""How a model follows events is what its algorithm can, unless told otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from recexp.algorithms.bpr import BPR
from recexp.algorithms.ease import EASE
from recexp.algorithms.implicit import ALS
from recexp.algorithms.popularity import Popularity
from recexp.errors import ConfigError
from recexp.serving.policies import RefitEvery, policy_of, sentence


@pytest.mark.parametrize(
    ("recommender", "policy"),
    [(EASE(), "fold_in"), (ALS(), "fold_in"), (Popularity(), "incremental"), (BPR(), "static")],
    ids=repr,
)
def test_auto_is_the_best_that_the_algorithm_can(recommender: Any, policy: str) -> None:
    assert policy_of(recommender) == policy


def test_a_policy_can_be_chosen_if_the_algorithm_can() -> None:
    assert policy_of(ALS(), "incremental") == "incremental"
    assert policy_of(ALS(), "static") == "static"
    with pytest.raises(ConfigError, match="EASE cannot; possible: fold_in, static"):
        policy_of(EASE(), "incremental")
    with pytest.raises(ConfigError, match="did you mean 'fold_in'"):
        policy_of(EASE(), "foldin")


@pytest.mark.parametrize(
    ("text", "every", "said"),
    [
        ("30s", RefitEvery(seconds=30), "30 seconds"),
        ("90m", RefitEvery(seconds=5400), "90 minutes"),
        ("1h", RefitEvery(seconds=3600), "hour"),
        ("2d", RefitEvery(seconds=172_800), "2 days"),
        ("1500", RefitEvery(n_new=1500), "1,500 interactions"),
    ],
)
def test_when_to_fit_anew_is_read_and_said(text: str, every: RefitEvery, said: str) -> None:
    assert RefitEvery.parse(text) == every
    assert sentence("static", BPR(), every).endswith(f"fitted anew every {said}.")


@pytest.mark.parametrize("text", ["", "0", "0h", "-5", "1w", "1.5h", "h", "9" * 20])
def test_what_cannot_be_read_is_told(text: str) -> None:
    with pytest.raises(ConfigError, match="expected such as 30m"):
        RefitEvery.parse(text)


def test_a_refit_is_due_by_count_or_by_time_and_never_for_nothing() -> None:
    by_count, by_time = RefitEvery(n_new=10), RefitEvery(seconds=60)
    assert not by_count.due(9, 1e9)
    assert by_count.due(10, 0)
    assert not by_time.due(5, 59)
    assert by_time.due(1, 60)
    assert not by_time.due(0, 1e9)
