"""Work that one process does at a time, and what is left of one that was killed."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

import recexp
from recexp.errors import StorageError
from recexp.lifecycle import alone

ROOT = str(Path(recexp.__file__).parent.parent)


def python(code: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": ROOT},
    )


def test_another_process_is_refused_until_the_first_has_ended(tmp_path: Path) -> None:
    holder = python(f"""
        import time
        from recexp.lifecycle import alone
        with alone({str(tmp_path)!r}):
            print("in", flush=True)
            time.sleep(60)
    """)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "in\n"
    with pytest.raises(StorageError, match="another process"), alone(str(tmp_path)):
        pass
    holder.kill()
    holder.communicate()
    with alone(str(tmp_path)), alone(f"{tmp_path}/other"):
        pass


def test_what_is_left_of_a_killed_process_is_waited_for(tmp_path: Path) -> None:
    holder = python(f"""
        import subprocess, sys, time
        from recexp.lifecycle import alone
        with alone({str(tmp_path)!r}):
            rest = "from recexp.lifecycle import remain; import time; f = remain(); time.sleep(1.5)"
            subprocess.Popen([sys.executable, "-c", rest], stdout=subprocess.DEVNULL)
            time.sleep(1)
            print("in", flush=True)
            time.sleep(60)
    """)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "in\n"
    holder.kill()
    holder.communicate()
    start = time.monotonic()
    with alone(str(tmp_path)):
        waited = time.monotonic() - start
    assert 0.1 < waited < 30


def test_work_that_ended_in_order_leaves_nothing_to_wait_for(tmp_path: Path) -> None:
    """The recorder of this process lives on; doing the same again must not wait for it."""
    rest = "from recexp.lifecycle import remain; f = remain(); print('up', flush=True); input()"
    with alone(str(tmp_path)):
        child = subprocess.Popen(
            [sys.executable, "-c", rest],
            env=os.environ | {"PYTHONPATH": ROOT},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdout is not None
        assert child.stdout.readline() == "up\n"
    start = time.monotonic()
    with alone(str(tmp_path)):
        assert time.monotonic() - start < 1
    child.communicate("\n")
