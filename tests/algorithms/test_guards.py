"""What is too large is refused as soon as that is known."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

import recexp
from recexp.algorithms import guards
from recexp.errors import DataError


@pytest.mark.parametrize(
    ("algo", "message"),
    [
        ("ease", r"EASE needs .* GB for the weights between \d+ items; .* algo=itemknn"),
        ("knn_basic", r"KNNBasic needs .* GB for the similarities between \d+ users; .* algo=svd"),
        ("slope_one", r"SlopeOne needs .* GB for the deviations between \d+ items; .* algo=svd"),
    ],
)
def test_a_model_too_large_for_the_machine_is_refused_before_the_data_is_split(
    algo: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(guards, "_memory_bytes", lambda: 1000.0)
    caplog.set_level(logging.INFO)
    with pytest.raises(DataError, match=message):
        recexp.run(
            f"algo={algo}", "dataset=synthetic", "tracking=none", f"output_dir={tmp_path / 'out'}"
        )
    stages = [record.getMessage() for record in caplog.records]
    assert "load ..." in stages
    assert "split ..." not in stages
