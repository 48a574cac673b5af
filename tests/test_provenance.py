"""Where a result came from."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from recexp.provenance import git_state, packages, provenance


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_the_working_folders_repository_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    git(tmp_path, "init", "--quiet", "--initial-branch=trunk")
    assert git_state() is None  # no commit yet
    (tmp_path / "a").write_text("1")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "--quiet", "-m", "one")
    commit = git(tmp_path, "rev-parse", "HEAD")
    assert git_state() == {"commit": commit, "branch": "trunk", "dirty": False}
    (tmp_path / "a").write_text("2")
    assert git_state() == {"commit": commit, "branch": "trunk", "dirty": True}


def test_outside_a_repository_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_state() is None


def test_packages_have_their_versions() -> None:
    found = packages()
    assert found["numpy"] == np.__version__
    assert len(found) > 20
    assert list(found) == sorted(found, key=str.lower)


def test_provenance_names_machine_and_command() -> None:
    facts = provenance()
    assert {"recexp", "command", "started", "git", "python", "platform", "packages"} <= set(facts)
