"""A data profile as text, plots and page, also of strange data."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recexp.data.dataset import Dataset
from recexp.profiling.dataset import profile
from recexp.profiling.survey import survey
from recexp.profiling.users import profile_users
from recexp.reporting.profile_page import profile_page
from recexp.reporting.profile_plots import profile_plots, write_plots
from recexp.reporting.profile_text import profile_table, split_table, user_table
from recexp.splits.random import random
from recexp.splits.temporal import temporal


@pytest.fixture
def implicit() -> Dataset:
    """Three interactions without ratings and time."""
    data = Dataset.from_columns("<b>log</b>", np.array([1, 1, 2]), np.array([1, 2, 1]))
    return replace(data, item_columns={"title": ("A & B", "")})


def test_text_says_the_numbers_in_words(implicit: Dataset) -> None:
    lines = dict(line.split(maxsplit=1) for line in profile_table(profile(implicit)).splitlines())
    assert lines["interactions"] == "3"
    assert lines["density"] == "75.0000% of all pairs"
    assert lines["ratings"] == "none"
    assert lines["time"] == "unknown: no timestamps"
    text = profile_table(profile(implicit))
    assert "100.0% of the users and 100.0% of the items have fewer than 5" in text
    assert re.search(r"per user +1 to 2; median 1.5, mean 1.5", text)
    assert re.search(r"items have +title \(50% known\)", text)


def test_a_user_without_ratings_and_time_is_described(implicit: Dataset) -> None:
    text = user_table(profile_users(implicit).of(0))
    assert text.splitlines()[0] == "user 1: 2 interactions"
    assert "mean rating" not in text
    assert "A & B" in text


def test_splits_that_cannot_be_made_say_why(implicit: Dataset) -> None:
    text = split_table(survey(implicit, {"temporal": temporal, "random": random}))
    assert re.search(r"^random +2 +1 ", text, re.MULTILINE)
    assert re.search(r"not possible: temporal: .* has no timestamps", text)


@pytest.mark.parametrize(
    "columns",
    [
        {},
        {"values": np.array([1.0, 2.0, 5.0]), "scale": (1, 5)},
        {"timestamps": np.array([7, 7, 7])},
        {
            "values": np.array([0.1, 0.25, 10.0]),
            "scale": (0, 10),
            "timestamps": np.array([0, 1, 2]),
        },
    ],
    ids=["nothing", "ratings", "one moment", "all"],
)
def test_there_is_a_plot_for_what_the_data_have(columns: dict[str, Any], tmp_path: Path) -> None:
    data = Dataset.from_columns("d", np.array([1, 1, 2]), np.array([1, 2, 1]), **columns)
    found = profile(data)
    expected = {"activity", "long_tail"}
    expected |= {"ratings"} if "values" in columns else set()
    expected |= {"time"} if "timestamps" in columns else set()
    assert set(profile_plots(found)) == expected
    assert {path.stem for path in write_plots(found, tmp_path)} == expected


def test_the_page_stands_alone_and_shows_names_as_text(implicit: Dataset) -> None:
    surveyed = survey(implicit, {"temporal": temporal})
    page = profile_page(profile(implicit), surveyed, {"source": "<script>x</script>"})
    assert "<b>log</b>" not in page
    assert "&lt;b&gt;log&lt;/b&gt;" in page
    assert "<script" not in page
    assert "http" not in page
