"""The examples in docstrings do what they show."""

from __future__ import annotations

import doctest
import importlib
import logging
from pathlib import Path

import pytest

import recexp

PACKAGE = Path(recexp.__file__).parent


def with_examples() -> list[str]:
    """The names of the modules that show an example."""
    found = [path for path in PACKAGE.rglob("*.py") if ">>>" in path.read_text(encoding="utf-8")]
    parts = [path.relative_to(PACKAGE.parent).with_suffix("").parts for path in sorted(found)]
    return [".".join(part for part in one if part != "__init__") for one in parts]


@pytest.mark.parametrize("name", with_examples())
def test_examples_give_what_they_show(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    monkeypatch.setattr(logging.getLogger("recexp"), "handlers", [])
    found = doctest.testmod(
        importlib.import_module(name),
        optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS | doctest.FAIL_FAST,
    )
    assert found.attempted > 0
    assert found.failed == 0
