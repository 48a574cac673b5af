"""What the API says of itself holds for whatever is sent (more, by hand: CONTRIBUTING.md)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recexp.algorithms.neighbors import ItemKNN
from recexp.data.dataset import Dataset

pytest.importorskip("schemathesis")


@pytest.mark.slow
@pytest.mark.parametrize("ids", ["numbers", "texts"])
def test_what_the_api_says_of_itself_holds(
    serve: Any, shop: Dataset, tmp_path: Path, ids: str
) -> None:
    data = shop
    if ids == "texts":
        users = np.array(["a", "b", "c/d", "é"] * 10)
        data = Dataset.from_columns("texts", users, np.array([f"i{n % 9}" for n in range(40)]))
    token = "sesame" if ids == "texts" else None
    url = serve({"itemknn": ItemKNN(threads=1).fit(data)}, data, token)
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json"]
    options = ["--max-examples", "10", "--seed", "1", "--no-color"]
    if token:
        options += ["--header", f"Authorization: Bearer {token}"]
    done = subprocess.run(
        [*command, *options], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout[-6_000:] + done.stderr[-2_000:]
    assert "Selected: 10/10" in done.stdout
    assert "❌" not in done.stdout
