"""A run says when its numbers will not come back."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from recexp.config import compose
from recexp.data.dataset import Dataset
from recexp.experiment import run
from recexp.plan import plan
from recexp.recording import opening
from recexp.splits.base import Split


@pytest.mark.parametrize(("threads", "repeatable"), [(1, True), (2, False)])
def test_threads_that_leave_it_to_chance_are_told(
    threads: int,
    repeatable: bool,
    synthetic: Dataset,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    overrides = ["algo=bpr", "algo.epochs=1", f"algo.threads={threads}", "dataset=synthetic"]
    chosen = plan(compose(overrides))
    split = Split(synthetic, synthetic.interactions)
    record = opening(chosen, {"git": None}, synthetic, split, chosen.recommender())
    assert record.tags["recexp.deterministic"] == str(repeatable).lower()
    with caplog.at_level(logging.WARNING):
        run(*overrides, "split=random", "tracking=none", "plots=false", f"output_dir={tmp_path}")
    assert ("algo.threads > 1: no two fits of BPR are alike" in caplog.text) is not repeatable
