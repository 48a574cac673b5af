"""Epoch by epoch through a library that trains in one call."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator


class _StoppedError(Exception):
    """Ends a training from within its callback."""


def paused(train: Callable[[Callable[..., None]], object]) -> Iterator[int]:
    """Run `train(callback)`, halting at every callback and giving the number of callbacks so far.

    The training runs in a thread of its own and only while the consumer waits for it. Left early,
    it ends at its next callback, by an exception; one that it raises itself reaches the consumer.
    """
    resume, halted = threading.Semaphore(0), threading.Semaphore(0)
    wanted, running = True, True
    failure: list[BaseException] = []

    def callback(*_: object) -> None:
        halted.release()
        resume.acquire()
        if not wanted:
            raise _StoppedError

    def work() -> None:
        nonlocal running
        try:
            resume.acquire()
            train(callback)
        except _StoppedError:
            pass
        except BaseException as error:
            failure.append(error)
        running = False
        halted.release()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    n = 0
    try:
        while True:
            resume.release()
            halted.acquire()
            if not running:
                break
            n += 1
            yield n
    finally:
        wanted = False
        resume.release()
        thread.join()
    if failure:
        raise failure[0]
