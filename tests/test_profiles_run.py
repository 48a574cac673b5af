"""A run with user profiles: as features, as segments, in the record."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

import recexp
from recexp.data.synthetic import GENRES
from recexp.errors import ConfigError, DataError
from recexp.experiment import Result
from recexp.profiling.users import PREFIX

SMALL = ["dataset=synthetic", "dataset.n_users=80", "dataset.n_items=60", "plots=false"]
SMALL += ["dataset.n_interactions=1200", "tracking=none", "split=random"]


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Result:
    folder = tmp_path_factory.mktemp("run")
    return recexp.run(
        "algo=lightfm", "algo.epochs=2", "profiles=history", f"output_dir={folder}", *SMALL
    )


def test_profiles_become_user_features_beside_the_others(result: Result) -> None:
    features = result.outcome.split.train.user_features
    assert features is not None
    assert any(name.startswith("segment=") for name in features.names)
    mine = {name for name in features.names if name.startswith(PREFIX)}
    assert {f"{PREFIX}activity=low", f"{PREFIX}recency=high", f"{PREFIX}taste=Drama"} <= mine


def test_profiles_are_not_taken_for_leaks(result: Result) -> None:
    assert result.outcome.audit.facts["leaked_features"] == []


def test_metrics_are_reported_by_segment(result: Result) -> None:
    table = result.per_user
    for low, high in (("niche_users", "mainstream_users"), ("lapsed_users", "recent_users")):
        assert table[low].dtype == bool
        assert not (table[low] & table[high]).any()
        mean = table.loc[table[low], "ndcg_at_10"].mean()
        assert result.metrics[f"{low}/ndcg_at_10"] == pytest.approx(mean)
    assert result.folder is not None
    with (result.folder / "metrics.csv").open(newline="") as file:
        assert "generous_users" in {row["segment"] for row in csv.DictReader(file)}


def test_the_record_has_the_profile_of_the_data(result: Result) -> None:
    assert result.folder is not None
    found = json.loads((result.folder / "data_profile.json").read_text())
    assert found["n_interactions"] == 1200
    assert len(found["items"]["lorenz"]) == 101


def test_they_help_lightfm_to_know_its_users(result: Result) -> None:
    """The model is another one with them than without."""
    plain = recexp.run(
        "algo=lightfm", "algo.epochs=2", f"output_dir={result.folder}", *SMALL
    ).outcome.recommender
    users = np.arange(80, dtype=np.int32)
    assert not np.allclose(plain.score(users), result.outcome.recommender.score(users))


def test_features_are_made_of_columns_without_another_dataset(tmp_path: Path) -> None:
    """Runs with and without them are of the same data, and can be compared."""
    options = ["algo=popularity", f"output_dir={tmp_path}", *SMALL]
    given, made = recexp.run(*options), recexp.run(*options, "features=columns", "validation=same")
    names = [one.outcome.split.train.item_features for one in (given, made)]
    assert names[0] is not None
    assert names[1] is not None
    assert set(names[0].names) == {f"genre={name}" for name in GENRES[:8]}
    assert {f"genres={name}" for name in GENRES[:8]} < set(names[1].names)
    assert given.outcome.dataset.fingerprint == made.outcome.dataset.fingerprint
    assert given.outcome.split.fingerprint == made.outcome.split.fingerprint


def test_a_validation_part_is_profiled_too(tmp_path: Path) -> None:
    found = recexp.run(
        "algo=popularity", "profiles=history", "validation=same", f"output_dir={tmp_path}", *SMALL
    )
    assert found.outcome.validation is not None
    assert "niche_users" in found.outcome.validation.per_user


@pytest.mark.parametrize(
    ("override", "error", "message"),
    [
        ("profiles=histroy", ConfigError, r"no option profiles=histroy; did you mean 'history'"),
        (
            "profiles.segments=[mood]",
            ConfigError,
            r"profiles\.segments=\['mood'\]: expected a list",
        ),
        ("profiles.category=genre", DataError, r"no item column 'genre'; did you mean 'genres'"),
    ],
)
def test_a_mistake_is_told(
    override: str, error: type[Exception], message: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message):
        recexp.run("profiles=history", override, f"output_dir={tmp_path}", *SMALL)


def test_extracted_categories_serve_calibration(tmp_path: Path) -> None:
    """Of the synthetic data `genre=` is given and `genres=` made: the same categories."""
    options = ["algo=popularity", "metrics=[calibration@10]", f"output_dir={tmp_path}", *SMALL]
    given = recexp.run(*options).metrics["calibration_at_10"]
    made = recexp.run(*options, "features=columns", "features.items.columns={genres: multi_hot}")
    assert made.metrics["calibration_at_10"] == pytest.approx(given)
