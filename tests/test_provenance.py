"""Where a result came from."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

import recexp
from recexp.provenance import git_state, packages, provenance, source_hash, threadpools


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
    clean = {
        "commit": commit,
        "branch": "trunk",
        "remote": None,
        "dirty": False,
        "diff_sha256": None,
    }
    assert git_state() == clean
    (tmp_path / "untracked").write_text("1")
    assert git_state() == clean | {"dirty": True}
    (tmp_path / "a").write_text("2")
    diff = hashlib.sha256(git(tmp_path, "diff", "HEAD").encode()).hexdigest()
    assert git_state() == clean | {"dirty": True, "diff_sha256": diff}
    git(tmp_path, "checkout", "--quiet", "--detach")
    git(tmp_path, "remote", "add", "origin", "https://me:secret@example.org/a.git")
    state = git_state()
    assert state is not None
    assert (state["branch"], state["remote"]) == ("HEAD", "https://example.org/a.git")


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
    assert list(found) == sorted(found)
    import importlib.metadata

    theirs = {
        re.sub(r"[-_.]+", "-", one.metadata["Name"]).lower(): one.version
        for one in importlib.metadata.distributions()
    }
    assert {name: version for name, version in found.items() if name in theirs} == theirs


def test_provenance_names_machine_and_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setenv("MY_PASSWORD", "secret")
    facts = provenance()
    assert {"recexp", "command", "working_dir", "started", "git", "python", "platform"} <= set(
        facts
    )
    assert {"implementation", "machine", "cpu", "cores", "packages"} <= set(facts)
    assert facts["environment"]["OMP_NUM_THREADS"] == "3"
    assert "secret" not in json.dumps(facts)


def test_the_code_is_known_by_its_content() -> None:
    digest = hashlib.sha256()
    for path in sorted(Path(recexp.__file__).parent.rglob("*.py")):
        name = path.relative_to(Path(recexp.__file__).parent).as_posix()
        digest.update(name.encode() + b"\0" + path.read_bytes())
    source_hash.cache_clear()
    assert source_hash() == digest.hexdigest()


def test_the_libraries_that_compute_are_named() -> None:
    np.ones((2, 2)) @ np.ones((2, 2))
    assert {"blas"} <= {one["user_api"] for one in threadpools()}
    assert all(one["num_threads"] >= 1 for one in threadpools())
