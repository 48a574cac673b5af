"""What a run says of itself, and who writes it down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Record:
    """Something to be written down of a run; all parts optional.

    `metrics` carry MLflow names and finite values; `steps` are the metrics of step 0, 1, ..., such
    as windows of time; `params` and `tags` are text; `datasets` are
    the inputs (see `DatasetInput`); the files below `folder` become the run's artifacts.
    """

    metrics: Mapping[str, float] = field(default_factory=dict)
    steps: tuple[Mapping[str, float], ...] = ()
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    datasets: tuple[DatasetInput, ...] = ()
    folder: Path | None = None


@dataclass(frozen=True)
class DatasetInput:
    """A dataset as MLflow lists it among a run's inputs; `context` is training or testing."""

    name: str
    digest: str
    source: str
    profile: str
    context: str


class Tracker(Protocol):
    """A place where runs are written down."""

    def begin(self, experiment: str, name: str, parent: str | None, record: Record) -> TrackedRun:
        """Open a run; returns at once."""
        ...

    def resume(self, run_id: str) -> TrackedRun:
        """Open a run again that was closed; returns at once."""
        ...


class TrackedRun(Protocol):
    """An open run. Its methods raise StorageError when the store fails."""

    def run_id(self) -> str | None:
        """Return the id in the store, or None where there is no store."""
        ...

    def check(self) -> None:
        """Raise what went wrong so far, without waiting."""
        ...

    def log(self, record: Record) -> None:
        """Add to the run."""
        ...

    def end(self, status: str) -> str | None:
        """Close the run as FINISHED, FAILED or KILLED and return its id."""
        ...


class NoTracker:
    """Writes nothing down: `tracking=none`."""

    def begin(self, experiment: str, name: str, parent: str | None, record: Record) -> TrackedRun:
        return _Untracked()

    def resume(self, run_id: str) -> TrackedRun:
        return _Untracked()


class _Untracked:
    def run_id(self) -> str | None:
        return None

    def check(self) -> None:
        return

    def log(self, record: Record) -> None:
        return

    def end(self, status: str) -> str | None:
        return None
