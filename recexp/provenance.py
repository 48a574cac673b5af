"""Where a result came from: the code, the machine and the software that made it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import recexp


def provenance() -> dict[str, Any]:
    """Return the facts of this process as plain JSON values."""
    return {
        "recexp": recexp.__version__,
        "command": sys.argv,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "git": git_state(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "packages": packages(),
    }


def git_state() -> dict[str, Any] | None:
    """Return commit, branch and dirtiness of the repository of the working directory.

    None outside a repository, without commits, or without git.
    """
    if shutil.which("git") is None:
        return None
    commit = _git("rev-parse", "HEAD")
    if commit is None:
        return None
    return {
        "commit": commit,
        "branch": _git("rev-parse", "--abbrev-ref", "HEAD"),
        "dirty": bool(_git("status", "--porcelain")),
    }


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *arguments], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def packages() -> dict[str, str]:
    """Return the version of every installed distribution by name, sorted."""
    found = {}
    for distribution in importlib.metadata.distributions():
        name = distribution.metadata["Name"]
        if name:
            found[name] = distribution.version
    return dict(sorted(found.items(), key=lambda pair: pair[0].lower()))
