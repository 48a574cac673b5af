"""A package from outside brings an algorithm, a dataset and a metric, and recexp runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import recexp

OUTSIDE = Path(__file__).parent / "outside_package"
RUN = ["run", "--quiet", "--format", "json", "--config-dir", str(OUTSIDE / "conf")]
RUN += ["algo=cooccurrence", "dataset=visits", "plots=false"]


def python(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run Python as one does who has installed recexp and the package."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(Path(recexp.__file__).parents[1]), str(OUTSIDE)])
    }
    environment.pop("MLFLOW_TRACKING_URI", None)
    return subprocess.run(
        [sys.executable, *arguments], cwd=cwd, env=environment, capture_output=True, text=True
    )


def test_it_runs_end_to_end_and_its_model_is_loaded_by_those_who_trust_it(tmp_path: Path) -> None:
    metrics = "metrics=[precision,their_pkg.metrics.first_place]"
    done = python(
        "-m", "recexp", *RUN, "cutoffs=[1]", "objective=precision@1", metrics, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["algo"], result["dataset"]) == ("cooccurrence", "visits")
    found = result["metrics"]
    # At a cutoff of 1 precision is whether the first item is a hit.
    assert found["their_pkg.metrics.first_place_at_1"] == found["precision_at_1"] > 0.2

    program = (
        "import recexp\n"
        "from recexp.errors import ConfigError\n"
        "try:\n"
        "    recexp.load({run!r})\n"
        "except ConfigError as error:\n"
        "    assert 'trust package their_pkg' in str(error), error\n"
        "else:\n"
        "    raise AssertionError('code of a stranger was run')\n"
        "model = recexp.load({run!r}, trusted=['their_pkg'])\n"
        "pages = model.recommend([1], 5)['item'].tolist()\n"
        "assert len(pages) == 5 and all(page % 2 for page in pages), pages\n"
        "assert all(page % 2 for page in model.similar([3], 5)['similar'])\n"
    ).format(run=result["run_id"])
    done = python("-c", program, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("algo.min_count=0", "algo.min_count=0: Cooccurrence expects a whole number >= 1"),
        ("algo.min_counts=2", "did you mean 'algo.min_count'?"),
        ("algo=cooccurence", "did you mean 'cooccurrence'?"),
    ],
)
def test_mistakes_in_its_options_are_told_like_any_others(
    override: str, message: str, tmp_path: Path
) -> None:
    done = python("-m", "recexp", *RUN, override, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_it_keeps_the_contract(tmp_path: Path) -> None:
    program = (
        "from recexp.testing import check_recommender\n"
        "from their_pkg.cooccurrence import Cooccurrence\n"
        "check_recommender(Cooccurrence, contexts={'min_count': {'min_count': 12}})\n"
    )
    done = python("-c", program, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
