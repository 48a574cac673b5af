"""Where a result came from: the code, the machine and the software that made it."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import recexp

ENVIRONMENT = (
    *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS"),
    *("VECLIB_MAXIMUM_THREADS", "NUMEXPR_NUM_THREADS", "NUMBA_NUM_THREADS", "NUMBA_CPU_NAME"),
    *("OPENBLAS_CORETYPE", "MKL_CBWR", "LIGHTFM_NO_CFLAGS", "CUDA_VISIBLE_DEVICES"),
    *("PYTHONHASHSEED", "PYTHONPATH", "RECEXP_CACHE", "LANG", "LC_ALL", "TZ"),
)
"""Environment variables that can change what a run computes or reads; no other is recorded."""


def provenance() -> dict[str, Any]:
    """Return the facts of this process as plain JSON values.

    It costs a run a few milliseconds; what libraries alone know is in `threadpools`.
    """
    return {
        "recexp": recexp.__version__,
        "recexp_sha256": source_hash(),
        "command": sys.argv,
        "working_dir": str(Path.cwd()),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "git": git_state(),
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "environment": {name: os.environ[name] for name in ENVIRONMENT if name in os.environ},
        "packages": packages(),
    }


def threadpools() -> list[dict[str, Any]]:
    """Return the loaded BLAS and OpenMP libraries: name, version, threads, kernel."""
    from threadpoolctl import threadpool_info

    kept = ("user_api", "internal_api", "version", "num_threads", "architecture")
    return [{key: one[key] for key in kept if key in one} for one in threadpool_info()]


@functools.cache
def source_hash() -> str:
    """Return the SHA-256 of recexp's own source files: the version alone does not tell a change."""
    package = Path(recexp.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _cpu() -> str:
    """The processor's name where the system tells it."""
    with contextlib.suppress(OSError), Path("/proc/cpuinfo").open(encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def git_state() -> dict[str, Any] | None:
    """Return commit, branch, dirtiness and remote of the repository of the working directory.

    `diff_sha256` is that of `git diff HEAD`: two runs with the same one ran the same tracked files.
    None outside a repository, without commits, or without git.
    """
    # One process for all of it: each costs a run milliseconds.
    status = _git("status", "--porcelain=v2", "--branch")
    if status is None:
        return None
    lines = status.splitlines()
    facts = dict(line[2:].split(" ", 1) for line in lines if line.startswith("# "))
    if facts["branch.oid"] == "(initial)":
        return None
    branch = facts["branch.head"]
    dirty = any(not line.startswith("# ") for line in lines)
    changes = _git("diff", "HEAD") if dirty else None
    return {
        "commit": facts["branch.oid"],
        "branch": "HEAD" if branch == "(detached)" else branch,
        "remote": _address(_git("config", "--get", "remote.origin.url")),
        "dirty": dirty,
        "diff_sha256": hashlib.sha256(changes.encode()).hexdigest() if changes else None,
    }


def _address(url: str | None) -> str | None:
    """A repository's address without name and password."""
    return None if url is None else re.sub(r"(?<=://)[^/@]*@", "", url)


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *arguments], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def packages() -> dict[str, str]:
    """Return the version of every installed distribution by its normalized name, sorted.

    Read from the names of the `.dist-info` folders: opening every one's metadata takes longer than
    everything else here. Of two on the path the first counts, as for an import.
    """
    found: dict[str, str] = {}
    for entry in dict.fromkeys(sys.path):
        with contextlib.suppress(OSError):
            for path in Path(entry).iterdir():
                if path.suffix in (".dist-info", ".egg-info"):
                    project, _, version = path.stem.partition("-")
                    if version:
                        found.setdefault(_normalized(project), version)
    return dict(sorted(found.items()))


def _normalized(name: str) -> str:
    """The name as package indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


_FACTS = (
    *("recexp_sha256", "python", "implementation", "platform", "machine", "cpu", "cores"),
    "threads",
)
"""What of a provenance is compared, beside packages, libraries and environment variables."""
_ENGINES = (
    *("recexp", "numpy", "scipy", "scikit-learn", "scikit-surprise", "lightfm-next", "implicit"),
    *("numba", "pandas", "pyarrow", "threadpoolctl"),
)
"""The packages that compute; they are named first."""


def environment_differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what differs between two provenances, each as `what: then -> now`.

    Packages that compute come first; of the others only their number is told.
    """
    found = [
        f"{_NAMES.get(key, key)}: {_short(then[key])} -> {_short(now[key])}"
        for key in _FACTS
        if key in then and key in now and then[key] != now[key]
    ]
    libraries, other = _libraries(then), _libraries(now)
    if not (libraries <= other or other <= libraries):  # which are loaded depends on the process
        found.append(f"libraries: {', '.join(sorted(libraries))} -> {', '.join(sorted(other))}")
    variables = {name for side in (then, now) for name in side.get("environment", {})}
    for name in sorted(variables if "environment" in then else ()):
        a, b = (side.get("environment", {}).get(name) for side in (then, now))
        if a != b:
            found.append(f"{name}: {a or 'unset'} -> {b or 'unset'}")
    a, b = ({_normalized(k): v for k, v in side["packages"].items()} for side in (then, now))
    differing = [name for name in sorted(a.keys() | b.keys()) if a.get(name) != b.get(name)]
    engines = [name for name in _ENGINES if name in differing]
    found += [f"{name}: {a.get(name, 'absent')} -> {b.get(name, 'absent')}" for name in engines]
    others = len(differing) - len(engines)
    if others:
        found.append(f"{others} other package{'s' if others > 1 else ''}")
    return tuple(found)


_NAMES = {"recexp_sha256": "recexp's code"}


def _libraries(side: Mapping[str, Any]) -> set[str]:
    """The numerical libraries, with the code that they chose for the processor."""
    keys = ("internal_api", "version", "architecture")
    pools = side.get("threadpools", [])
    return {" ".join(str(pool[key]) for key in keys if pool.get(key)) for pool in pools}


def _short(value: Any) -> str:
    text = str(value)
    return text[:12] if len(text) == 64 else text
