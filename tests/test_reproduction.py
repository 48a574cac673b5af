"""A recorded run made again: the same, within noise, or different, and why."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

import recexp
from recexp.__main__ import main
from recexp.errors import ConfigError, StorageError
from recexp.provenance import environment_differences
from recexp.reproduction import (
    _verdict,
    check_trusted,
    reproduce,
)
from recexp.tracking.records import RunReader


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A store of its own, with its run's id to be added; the working folder is temporary."""
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.chdir(tmp_path)
    return uri


def small_run(*overrides: str) -> str:
    data = ["dataset=synthetic", "dataset.n_interactions=3000", "plots=false"]
    run_id = recexp.run(*data, *overrides).run_id
    assert run_id is not None
    return run_id


def files(uri: str, run_id: str) -> Path:
    reader = RunReader(uri)
    (run,) = reader.named([run_id])
    path = reader.artifact(run, "config.yaml")
    assert path is not None
    return path.parent


def test_a_run_made_again_is_the_same_and_is_recorded_as_such(store: str) -> None:
    run_id = small_run("algo=svd", "algo.epochs=2", "split=random", "seed=7", "validation=same")
    found = reproduce(run_id[:8])
    assert found.same
    assert found.environment == ()
    assert found.count("identical") == len(found.metrics) > 100
    names = {one.metric for one in found.metrics}
    assert {"ndcg@10", "tail_items/ndcg@10", "rmse", "val/ndcg@10", "coverage@10"} <= names
    assert not any("time" in name or "memory" in name for name in names)
    (again,) = RunReader(store).named([str(found.run_id)])
    assert again.tags["recexp.reproduces"] == run_id
    assert again.params["seed"] == "7"


def test_without_a_tracker_nothing_is_kept(store: str, tmp_path: Path) -> None:
    run_id = small_run("algo=popularity")
    before = set(tmp_path.rglob("*"))
    found = reproduce(run_id, track=False)
    assert found.same
    assert found.run_id is None
    assert set(tmp_path.rglob("*")) == before


def test_other_data_is_said_first_and_nothing_is_fitted(
    store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        f"{u},{i},{1 + (u * i) % 5},{u * 100 + i}" for u in range(40) for i in range(u % 2, 60, 2)
    ]
    path = tmp_path / "ratings.csv"
    path.write_text("\n".join(["user,item,rating,timestamp", *rows]))
    run_id = recexp.run(
        "dataset=csv", f"dataset.path={path}", "algo=popularity", "plots=false"
    ).run_id
    path.write_text("\n".join(["user,item,rating,timestamp", *rows[:-1], "39,59,1,99999"]))
    found = reproduce(str(run_id))
    assert not found.same
    assert found.other_data is not None
    assert "data is not that of the record" in found.other_data
    assert found.metrics == ()
    assert main(["reproduce", str(run_id), "--quiet"]) == 1
    out = capsys.readouterr().out
    assert out.splitlines()[1].startswith("DIFFERENT    the data is not")


def test_a_changed_record_is_found_different(
    store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run_id = small_run("algo=itemknn")
    table = files(store, run_id) / "metrics.csv"
    lines = table.read_text().splitlines()
    place = next(i for i, line in enumerate(lines) if line.startswith("test,,coverage@10,"))
    cells = lines[place].split(",")
    lines[place] = ",".join([*cells[:3], repr(float(cells[3]) * 1.5), *cells[4:]])
    table.write_text("\n".join(lines))
    assert main(["reproduce", run_id, "--quiet", "--tracking", "none"]) == 1
    out = capsys.readouterr().out
    assert "1 different" in out
    assert any(line.startswith("coverage@10") for line in out.splitlines())
    assert main(["reproduce", run_id, "-q", "--tracking", "none", "--format", "json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["metrics"]["coverage@10"]["verdict"] == "different"
    assert document["counts"]["different"] == 1


def test_what_the_environment_changed_is_named(store: str) -> None:
    run_id = small_run("algo=popularity")
    path = files(store, run_id) / "provenance.json"
    facts = json.loads(path.read_text())
    facts["python"] = "3.11.0"
    facts["packages"]["numpy"] = "1.0"
    path.write_text(json.dumps(facts))
    found = reproduce(run_id, track=False)
    assert found.same
    assert any(one.startswith("python: 3.11.0 -> ") for one in found.environment)
    assert f"numpy: 1.0 -> {np.__version__}" in found.environment


def test_environments_are_compared_part_by_part() -> None:
    then = {
        "python": "3.11.1",
        "recexp_sha256": "a" * 64,
        "threads": 2,
        "threadpools": [{"internal_api": "openblas", "version": "0.3", "architecture": "Zen"}],
        "environment": {"OMP_NUM_THREADS": "1"},
        "packages": {"numpy": "1", "Flask": "1", "zeta": "1", "PyYAML": "6"},
    }
    now = {
        "python": "3.12.0",
        "recexp_sha256": "b" * 64,
        "threads": 8,
        "threadpools": [
            {"internal_api": "openblas", "version": "0.3", "architecture": "Haswell"},
            {"internal_api": "openmp", "version": None},
        ],
        "environment": {},
        "packages": {"numpy": "2", "flask": "1", "zeta": "2", "pyyaml": "6", "new": "1"},
    }
    assert environment_differences(then, now) == (
        "recexp's code: aaaaaaaaaaaa -> bbbbbbbbbbbb",
        "python: 3.11.1 -> 3.12.0",
        "threads: 2 -> 8",
        "libraries: openblas 0.3 Zen -> openblas 0.3 Haswell, openmp",
        "OMP_NUM_THREADS: 1 -> unset",
        "numpy: 1 -> 2",
        "2 other packages",
    )
    assert environment_differences(then, then) == ()
    older = {"python": "3.12.0", "packages": now["packages"]}  # recorded less: nothing to compare
    assert environment_differences(older, now) == ()


def test_noise_is_what_the_users_differences_average_out() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.1, 400)
    noise -= noise.mean()
    assert _verdict(0.3, 0.301, noise + 0.001) == "within noise"  # 0.2 standard errors
    assert _verdict(0.3, 0.35, noise + 0.05) == "different"  # 10 standard errors
    assert _verdict(0.3, 0.3 + 1e-13, noise * 0 + 1e-13) == "within noise"  # rounding
    assert _verdict(0.5, 0.504, None) == "within noise"  # no users: 0.8 %
    assert _verdict(0.5, 0.51, None) == "different"  # 2 %
    assert _verdict(0.5, None, None) == "different"
    assert _verdict(float("nan"), 0.5, None) == "different"


def test_code_from_elsewhere_is_not_run_unless_it_is_trusted(store: str) -> None:
    run_id = small_run("algo=popularity")
    path = files(store, run_id) / "config.yaml"
    config = yaml.safe_load(path.read_text())
    config["algo"]["_target_"] = "evil.package.Model"
    path.write_text(yaml.safe_dump(config))
    with pytest.raises(ConfigError, match=r"would run evil\.package\.Model; .*--trust evil"):
        reproduce(run_id)
    nested = {"preprocess": {"steps": [{"_target_": "os.system"}]}}
    with pytest.raises(ConfigError, match=r"os\.system"):
        check_trusted(nested, [])
    check_trusted(nested, ["os"])
    check_trusted({"_target_": "recexp.data.readers.load_csv"}, [])


def test_a_record_that_is_not_whole_is_told(store: str) -> None:
    run_id = small_run("algo=popularity")
    folder = files(store, run_id)
    (folder / "provenance.json").unlink()
    with pytest.raises(StorageError, match=r"has no provenance\.json"):
        reproduce(run_id)
    (folder / "config.yaml").write_text("a: [1, 2")
    with pytest.raises(StorageError, match=r"config\.yaml is damaged"):
        reproduce(run_id)
    shutil.rmtree(folder)
    with pytest.raises(StorageError, match="are gone"):
        reproduce(run_id)
    with pytest.raises(StorageError, match="no run 'nothing'"):
        reproduce("nothing")


def test_a_record_of_a_newer_version_is_told(store: str) -> None:
    run_id = small_run("algo=popularity")
    path = files(store, run_id) / "config.yaml"
    config = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({**config, "invented_later": 1}))
    with pytest.raises(ConfigError, match="no config key 'invented_later'"):
        reproduce(run_id)
    del config["plots"]  # older: it has its default
    path.write_text(yaml.safe_dump(config))
    assert reproduce(run_id, track=False).same
