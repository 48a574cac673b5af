"""Published figures measured again, on tables made for the tests, and the tables that ship."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from recexp.__main__ import main
from recexp.config import compose, config_folder
from recexp.errors import ConfigError
from recexp.experiment import run
from recexp.plan import plan
from recexp.reference import TIERS, Target, choose, targets
from recexp.sweep import REPEATS
from recexp.verify import verify

SMALL = ["dataset=synthetic", "dataset.n_users=80", "dataset.n_items=60"]
SMALL += ["dataset.n_interactions=1200", "split=random", "tracking=none"]
ALL = targets()


def write(folder: Path, targets: object, **shared: object) -> Path:
    """A user's own tree of options with the table `mine`."""
    table = {"source": "a paper", "url": "https://example.org", "tier": "quick", "run": SMALL}
    (folder / "reference").mkdir(parents=True, exist_ok=True)
    content = table | {"targets": targets} | shared
    (folder / "reference" / "mine.yaml").write_text(
        yaml.safe_dump(content, sort_keys=False), encoding="utf-8"
    )
    return folder


def figures(**published: tuple[float, float]) -> dict[str, object]:
    return {
        metric.replace("_at_", "@"): {"value": value, "tolerance": tolerance}
        for metric, (value, tolerance) in published.items()
    }


@pytest.fixture(scope="module")
def right(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """What the runs of the tests give, by the function behind `recexp run`."""
    folder = tmp_path_factory.mktemp("right")
    return dict(run(*SMALL, "algo=baseline", f"output_dir={folder}", "plots=false").metrics)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, object]]:
    code = main(["verify", "-q", "--format", "json", *arguments])
    return code, json.loads(capsys.readouterr().out)


def test_a_figure_within_its_tolerance_matches_and_one_beyond_differs(
    here: Path, right: dict[str, float], capsys: pytest.CaptureFixture[str]
) -> None:
    rmse, ndcg = right["rmse"], right["ndcg_at_10"]
    mine = write(
        here / "conf",
        {
            "near": {
                "run": ["algo=baseline"],
                "published": figures(rmse=(rmse + 0.01, 0.011), ndcg_at_10=(ndcg - 0.01, 0.011)),
            },
            "far": {
                "run": ["algo=baseline"],
                "published": figures(rmse=(rmse + 0.01, 0.009), ndcg_at_10=(ndcg, 0.001)),
                "notes": "known to differ",
            },
        },
    )
    code, document = told(capsys, "mine", "--config-dir", str(mine))
    assert code == 1
    near, far = document["targets"]
    assert [near["status"], far["status"]] == ["match", "differs"]
    assert [one["match"] for one in far["figures"]] == [False, True]
    assert far["figures"][0]["value"] == rmse
    assert far["figures"][0]["difference"] == pytest.approx(-0.01)
    assert (document["match"], document["differs"]) == (1, 1)
    assert main(["verify", "-q", "mine/near", "--config-dir", str(mine)]) == 0
    capsys.readouterr()
    assert main(["verify", "-q", "mine/far", "--config-dir", str(mine)]) == 1
    out = capsys.readouterr().out
    assert "DIFFERS" in out
    assert "known to differ" in out
    assert "a paper" in out


def test_the_mean_over_repetitions_is_what_counts(here: Path) -> None:
    once = [*SMALL, "algo=baseline", "plots=false"]
    found = [run(*once, f"seed={seed}").metrics["rmse"] for seed in (1, 2, 3)]
    mine = write(
        here / "conf",
        {
            "svd": {
                "run": ["algo=baseline"],
                "published": figures(rmse=(float(np.mean(found)), 1e-9)),
            }
        },
        repeat="seed=1,2,3",
    )
    verdict = verify(targets(mine)["mine/svd"], config_dir=mine)
    assert verdict.status == "match"
    assert max(found) - min(found) > 1e-3


def test_a_target_without_its_files_is_skipped_and_says_how_to_get_them(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {"folder": "lists", "sha256": {"train.txt": "00"}, "get": "ask the authors"}
    target = {"lists": {"published": figures(rmse=(1, 1)), "files": files}}
    mine = write(here / "conf", target)
    asked = ["mine", "--config-dir", str(mine)]
    code, document = told(capsys, *asked)
    assert code == 0
    (verdict,) = document["targets"]
    assert verdict["status"] == "skipped"
    assert "ask the authors" in verdict["reason"]
    assert verdict["figures"][0]["match"] is None

    code, document = told(capsys, *asked, "--data", str(here))
    assert "train.txt is missing" in document["targets"][0]["reason"]
    (here / "lists").mkdir()
    (here / "lists" / "train.txt").write_text("1 2 3")
    code, document = told(capsys, *asked, "--data", str(here))
    assert code == 0
    assert "not the published file" in document["targets"][0]["reason"]


def test_files_that_are_there_take_their_place_in_the_overrides(here: Path) -> None:
    folder = here / "it's here"
    (folder / "lists").mkdir(parents=True)
    (folder / "lists" / "ratings.csv").write_text("user,item,rating\n")
    files = {"folder": "lists", "get": "", "sha256": {}}
    run = ["dataset=csv", "dataset.path='{data}/ratings.csv'"]
    published = figures(rmse=(1, 1))
    mine = write(here / "conf", {"lists": {"published": published, "files": files}}, run=run)
    target = targets(mine)["mine/lists"]
    assert target.missing(folder) is None
    composed = compose(target.overrides(folder)).config
    assert composed.dataset.path == str(folder / "lists" / "ratings.csv")


def test_data_that_cannot_be_had_and_models_that_are_too_large_are_skipped(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = {"run": ["dataset.path=nowhere"], "published": figures(rmse=(1, 1))}
    dense = {"run": ["algo=ease"], "published": figures(ndcg_at_10=(1, 1))}
    mine = write(here / "conf", {"dense": dense})
    target = targets(mine)["mine/dense"]
    monkeypatch.setattr("recexp.algorithms.guards._memory_bytes", lambda: 100.0)
    verdict = verify(target)
    assert (verdict.status, verdict.run_id) == ("skipped", None)
    assert "EASE needs" in verdict.reason
    mine = write(here / "conf", {"missing": missing}, run=["dataset=movielens", "tracking=none"])
    verdict = verify(targets(mine)["mine/missing"])
    assert verdict.status == "skipped"
    assert "nowhere" in verdict.reason


def test_a_run_that_breaks_has_failed_and_the_others_go_on(
    here: Path, right: dict[str, float], capsys: pytest.CaptureFixture[str]
) -> None:
    nothing = ["algo=baseline", "relevance_threshold=9"]
    mine = write(
        here / "conf",
        {
            "breaks": {"run": nothing, "published": figures(rmse=(1, 1))},
            "repeats": {"run": nothing, "repeat": "seed=1,2", "published": figures(rmse=(1, 1))},
            "works": {"run": ["algo=baseline"], "published": figures(rmse=(right["rmse"], 1e-9))},
        },
    )
    code, document = told(capsys, "mine", "--config-dir", str(mine))
    statuses = {one["target"]: one["status"] for one in document["targets"]}
    assert code == 1
    assert statuses["mine/works"] == "match"
    assert statuses["mine/breaks"] == statuses["mine/repeats"] == "failed"
    assert "relevance_threshold" in document["targets"][0]["reason"]


def test_runs_are_recorded_in_an_experiment_of_their_own(
    here: Path, right: dict[str, float], capsys: pytest.CaptureFixture[str]
) -> None:
    import sqlite3

    published = figures(rmse=(right["rmse"], 1e-9))
    mine = write(here / "conf", {"base": {"run": ["algo=baseline"], "published": published}})
    store = f"tracking.uri=sqlite:///{here / 'runs.db'}"
    code, document = told(capsys, "mine", "--config-dir", str(mine), "tracking=mlflow", store)
    assert code == 0
    with sqlite3.connect(here / "runs.db") as connection:
        names = connection.execute(
            "select e.name, r.name, r.run_uuid from runs r join experiments e using (experiment_id)"
        ).fetchall()
    assert names == [("recexp-verify", "mine/base", document["targets"][0]["run_id"])]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["surpise"], "no target 'surpise'; did you mean 'surprise'?"),
        (["surprise/svdd"], "no target 'surprise/svdd'; did you mean 'surprise/svd'?"),
        (["surprise/baseline", "algo.n_factor=3"], "no config key 'algo.n_factor'"),
    ],
)
def test_a_mistake_is_one_line_and_code_2(
    here: Path, capsys: pytest.CaptureFixture[str], names: list[str], message: str
) -> None:
    assert main(["verify", "-q", *names]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("targets: [", "mine.yaml is not YAML"),
        ("source: x", "mine.yaml: expected a mapping with `targets`"),
        ({"a": 3}, "mine/a: expected a mapping"),
        ({"a": {"tolerence": 1}}, r"no config key 'mine/a\.tolerence'"),
        ({"a": {"published": {"rmse": {"value": 1}}}}, r"rmse\.tolerance is required"),
        ({"a": {"published": {"rmse": {"value": 1, "tolerance": 0}}}}, "expected a number > 0"),
        ({"a": {"published": {"rmze": {"value": 1, "tolerance": 1}}}}, "did you mean 'rmse'"),
        ({"a": {"published": {}, "tier": "fast"}}, r"tier='fast': expected quick \| slow \| heavy"),
        ({"a": {"published": {}, "files": {"folder": "x"}}}, r"files\.\w+ is required"),
    ],
)
def test_a_table_that_is_not_well_formed_is_refused_with_its_place(
    tmp_path: Path, content: object, message: str
) -> None:
    write(tmp_path, content)
    if isinstance(content, str):
        (tmp_path / "reference" / "mine.yaml").write_text(content)
    with pytest.raises(ConfigError, match=message) as caught:
        targets(tmp_path)
    assert "mine.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_names_the_quick_ones_are_chosen() -> None:
    assert {one.tier for one in choose(ALL, [], [])} == {"quick"}
    assert {one.tier for one in choose(ALL, ["all"], [])} == set(TIERS)
    assert {one.name for one in choose(ALL, ["surprise"], ["slow"])} == {
        name for name, one in ALL.items() if name.startswith("surprise/") and one.tier == "slow"
    }
    assert [one.name for one in choose(ALL, ["surprise/svd", "surprise/svd"], [])] == [
        "surprise/svd"
    ]


def test_the_list_names_every_target(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == list(ALL)


@pytest.mark.parametrize("target", ALL.values(), ids=ALL)
def test_every_target_that_ships_composes(target: Target, tmp_path: Path) -> None:
    assert target.url.startswith("https://")
    overrides = [*target.overrides(tmp_path), "tracking=none"]
    if target.repeat is not None:
        key, _, values = target.repeat.partition("=")
        assert key in REPEATS  # else a sweep has no mean
        overrides.append(f"{key}={values.split(',')[-1]}")
    plan(compose(overrides))


def test_all_of_the_published_tables_are_there() -> None:
    surprise = "svd svdpp nmf slope_one knn_basic knn_means knn_baseline co_clustering baseline"
    expected = {f"surprise/{name}" for name in (*surprise.split(), "normal")}
    expected |= {"lightfm/warp", "lightfm/bpr"}
    expected |= {f"gowalla/{name}" for name in ("itemcf", "mf_bpr", "slim", "ease")}
    assert expected <= set(ALL)
    for path in (config_folder() / "reference").glob("*.yaml"):
        assert path.read_text(encoding="utf-8").startswith("# ")
