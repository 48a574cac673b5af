"""The worker processes as the tuning process sees them."""

from __future__ import annotations

import contextlib
import json
import selectors
import signal
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from recexp.child import start_child
from recexp.errors import DataError


class Worker:
    """A worker process and the pipes to it."""

    def __init__(self, opening: Mapping[str, Any]) -> None:
        self._process = start_child("recexp.tuning.worker")
        assert self._process.stdout is not None
        self.answers = self._process.stdout
        self.send(opening)

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a message; one that cannot arrive shows when the answer is read."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(message) + "\n")

    def answer(self) -> dict[str, Any]:
        """Return the next answer; `{"died": why}` when there will be none."""
        line = self.answers.readline()
        if line:
            answer: dict[str, Any] = json.loads(line)
            return answer
        code = self._process.wait()
        if code >= 0:
            return {"died": f"its process ended with code {code}"}
        name = signal.Signals(-code).name
        hint = ": out of memory?" if name == "SIGKILL" else ""
        return {"died": f"its process was killed by {name}{hint}"}

    def stop(self) -> None:
        """End the process, whatever it is doing."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


class Crew:
    """A number of workers, all with the same plan; a dead one is replaced.

    Args:
        n: how many.
        config, choices, config_dir: of the plan, as `recexp.config.recorded` takes them.
    """

    def __init__(
        self,
        n: int,
        config: Mapping[str, Any],
        choices: Mapping[str, str],
        config_dir: Path | None,
    ) -> None:
        folder = None if config_dir is None else str(config_dir.absolute())
        self._opening = {
            "config": config,
            "choices": choices,
            "config_dir": folder,
            "path": sys.path,
        }
        self._selector = selectors.DefaultSelector()
        self._n = n
        self.workers: list[Worker] = []

    def __enter__(self) -> Self:
        for _ in range(self._n):
            self._hire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for worker in self.workers:
            worker.stop()
        self._selector.close()

    def answers(self) -> Iterator[tuple[Worker, dict[str, Any]]]:
        """Wait for an answer of any worker and yield those that are there, with who gave them.

        A worker that died is replaced after its `died` was taken in. Raises DataError when one
        cannot begin.
        """
        for key, _ in self._selector.select():
            worker: Worker = key.data
            answer = worker.answer()
            if "refused" in answer:
                raise DataError(answer["refused"])
            yield worker, answer
            if "died" in answer:
                self._selector.unregister(worker.answers)
                worker.stop()
                self.workers.remove(worker)
                self._hire()

    def _hire(self) -> None:
        worker = Worker(self._opening)
        self._selector.register(worker.answers, selectors.EVENT_READ, worker)
        self.workers.append(worker)
