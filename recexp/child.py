"""Processes of our own beside this one, spoken to in lines."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def start_child(module: str) -> subprocess.Popen[str]:
    """Start `python -m MODULE` with pipes for its input and output, buffered by line.

    The child finds this very recexp, also when it runs from a source tree, and is out of reach of
    the terminal's Ctrl-C.
    """
    package_root = str(Path(__file__).parent.parent)
    path = os.environ.get("PYTHONPATH")
    environment = os.environ | {
        "PYTHONPATH": package_root if not path else f"{package_root}{os.pathsep}{path}"
    }
    return subprocess.Popen(
        [sys.executable, "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        bufsize=1,
        env=environment,
        start_new_session=True,
    )
