"""How a process is asked to stop: signals become exceptions, so that runs end in order."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import platform
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import TextIO

from recexp.errors import StorageError

REMAINS = "RECEXP_REMAINS"
"""The variable that tells a recorder of which work it is a part (see `alone`)."""

_PATIENCE = 120.0


class Terminated(BaseException):
    """SIGTERM or SIGHUP arrived; str() is the signal's name."""


@contextlib.contextmanager
def termination_raises() -> Iterator[None]:
    """Within, SIGTERM and SIGHUP raise Terminated in the main thread, as Ctrl-C raises anyway."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise Terminated(signal.Signals(number).name)

    caught = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = [signal.signal(one, stop) for one in caught]
    try:
        yield
    finally:
        for one, handler in zip(caught, before, strict=True):
            signal.signal(one, handler)


@contextlib.contextmanager
def alone(work: str) -> Iterator[None]:
    """Within, no other process does `work`, nor does what is left of one that was killed.

    A process that was killed leaves recorders, which still write down what they were told; they
    hold a lock of their own (see `remain`), for which we wait. Raises StorageError when another
    process is at it. Without POSIX locks nothing is locked.
    """
    if os.name != "posix":
        yield
        return
    import fcntl

    digest = hashlib.sha256(work.encode()).hexdigest()[:16]
    stem = Path(tempfile.gettempdir()) / f"recexp-{os.getuid()}-{digest}"
    with stem.with_suffix(".main").open("w") as main, stem.with_suffix(".rest").open("w") as rest:
        try:
            fcntl.flock(main, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StorageError(
                "another process is at this very work; wait until it has ended, or stop it"
            ) from None
        _wait(rest)
        before = os.environ.get(REMAINS)
        os.environ[REMAINS] = rest.name
        try:
            yield
        finally:
            os.environ.pop(REMAINS)
            if before is not None:
                os.environ[REMAINS] = before
            # Ended in order, whatever happened: our own recorder, still alive, writes nothing more.
            Path(rest.name).unlink(missing_ok=True)


def remain() -> TextIO | None:
    """Say that this process belongs to the work of the one that started it, while the file lives.

    For processes that outlive a killed parent for a while; None when they belong to none.
    """
    name = os.environ.get(REMAINS)
    if name is None or os.name != "posix":
        return None
    import fcntl

    file = Path(name).open("w")  # noqa: SIM115  (open as long as the process)
    fcntl.flock(file, fcntl.LOCK_SH)
    return file


@functools.cache  # one thread is enough
def die_with(pid: int, host: str) -> None:
    """Let a thread end this process soon after process `pid` of `host` has died.

    Nothing happens on another host, where the number says nothing.
    """
    if platform.node() != host:
        return
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent and _alive(pid):
            time.sleep(0.2)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _wait(file: TextIO) -> None:
    """Wait until nobody holds the lock of a file."""
    import fcntl

    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise StorageError(
                    "what is left of an earlier process is still writing; try again later"
                ) from None
            time.sleep(0.1)
        else:
            fcntl.flock(file, fcntl.LOCK_UN)
            return
