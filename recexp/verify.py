"""Published figures, measured again: is recexp as good as they say?"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from recexp.config import compose
from recexp.errors import ConfigError, DataError, StorageError, TooLargeError
from recexp.evaluation.metrics import mlflow_name
from recexp.experiment import run_plan
from recexp.plan import Plan, plan
from recexp.reference import Target
from recexp.reporting.tables import align
from recexp.sweep import run_sweep

log = logging.getLogger(__name__)

EXPERIMENT = "recexp-verify"
"""The MLflow experiment that holds the runs."""


@dataclass(frozen=True)
class Verdict:
    """What became of a target.

    Attributes:
        values: ours by metric (`rmse`); empty when nothing was measured.
        reason: why it was skipped or failed; empty when it was measured.
        run_id: of the run, or of the parent of its repetitions; None with `tracking=none`.
    """

    target: Target
    status: Literal["match", "differs", "skipped", "failed"]
    seconds: float
    values: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""
    run_id: str | None = None

    def document(self) -> dict[str, Any]:
        """Return the verdict as plain JSON values."""
        target = self.target
        return {
            "target": target.name,
            "tier": target.tier,
            "status": self.status,
            "reason": self.reason,
            "figures": [
                {
                    "metric": metric,
                    "value": self.values.get(metric),
                    "published": figure.value,
                    "difference": self._difference(metric),
                    "tolerance": figure.tolerance,
                    "match": self._matches(metric),
                }
                for metric, figure in target.published.items()
            ],
            "seconds": round(self.seconds, 1),
            "run_id": self.run_id,
            "source": target.source,
            "url": target.url,
            "notes": " ".join(target.notes.split()),
        }

    def rows(self) -> list[list[str]]:
        """Return a line of cells for each figure."""
        lines = []
        for metric, figure in self.target.published.items():
            difference = self._difference(metric)
            matches = self._matches(metric)
            ours = "-" if difference is None else f"{self.values[metric]:.4f}"
            lines.append(
                [
                    f"{self.target.name} {metric}",
                    ours,
                    f"{figure.value:.4g}",
                    "-" if difference is None else f"{difference:+.4f}",
                    f"{figure.tolerance:.4f}",
                    self.status if matches is None else "match" if matches else "DIFFERS",
                    f"{self.seconds:.0f}",
                    self.target.source,
                ]
            )
        return lines

    def _difference(self, metric: str) -> float | None:
        if metric not in self.values:
            return None
        return self.values[metric] - self.target.published[metric].value

    def _matches(self, metric: str) -> bool | None:
        difference = self._difference(metric)
        return None if difference is None else _within(difference, self.target, metric)


@dataclass(frozen=True)
class Verification:
    """The verdicts on the targets, in order."""

    verdicts: tuple[Verdict, ...]

    @property
    def agrees(self) -> bool:
        """Whether nothing differs and nothing failed; what was skipped speaks for neither side."""
        return not self._named("differs") and not self._named("failed")

    def document(self) -> dict[str, Any]:
        """Return everything as plain JSON values."""
        counts = {status: len(self._named(status)) for status in _STATUSES}
        return {**counts, "targets": [one.document() for one in self.verdicts]}

    def __str__(self) -> str:
        header = ["target", "ours", "published", "difference", "tolerance", "", "seconds", "source"]
        lines = [align([header, *(row for one in self.verdicts for row in one.rows())]), ""]
        for one in self.verdicts:
            notes = " ".join(one.target.notes.split()) if one.status == "differs" else one.reason
            if notes:
                lines.append(f"{one.target.name} {one.status}: {notes}")
        counts = [
            f"{len(found)} {text}"
            for status, text in _STATUSES.items()
            if (found := self._named(status))
        ]
        return "\n".join([*lines, ", ".join(counts)])

    def _named(self, status: str) -> list[Verdict]:
        return [one for one in self.verdicts if one.status == status]


_STATUSES = {"match": "match", "differs": "differ", "skipped": "skipped", "failed": "failed"}


def verify(
    target: Target,
    *,
    data: Path | None = None,
    overrides: Sequence[str] = (),
    config_dir: Path | None = None,
) -> Verdict:
    """Measure a target by an ordinary run, or by a sweep over what repeats it, and judge it.

    Args:
        data: the folder with the published files of targets that need some.
        overrides: for the run, after those of the target.
        config_dir: the user's own tree of options.

    A target whose data cannot be had, or which is too large for this machine, is skipped; one
    whose run fails has failed. Raises ConfigError for overrides that cannot work, StorageError
    for a store or folder that cannot be written.
    """
    start = time.perf_counter()

    def verdict(status: Any, **found: Any) -> Verdict:
        return Verdict(target, status, time.perf_counter() - start, **found)

    if (missing := target.missing(data)) is not None:
        return verdict("skipped", reason=missing)
    once = [*target.overrides(data), *_recorded(target), *overrides]
    planned = plan(compose(once, config_dir), config_dir)
    try:
        planned.load()
    except DataError as error:
        return verdict("skipped", reason=str(error))
    try:
        metrics, run_id = _measure(planned, once, target.repeat, config_dir)
        values = {metric: metrics[mlflow_name(metric)] for metric in target.published}
    except TooLargeError as error:
        return verdict("skipped", reason=str(error))
    except (ConfigError, StorageError):
        raise
    except Exception as error:
        # Whatever stopped this target is told among the verdicts; the others go on.
        log.debug("target failed", exc_info=True)
        return verdict("failed", reason=f"{type(error).__name__}: {error}".splitlines()[0])
    agrees = all(
        _within(values[metric] - figure.value, target, metric)
        for metric, figure in target.published.items()
    )
    return verdict("match" if agrees else "differs", values=values, run_id=run_id)


def _recorded(target: Target) -> list[str]:
    """The overrides of how a target is measured and recorded, which are the same for all."""
    metrics = list(target.published)
    return [
        f"metrics=[{','.join(metrics)}]",
        f"objective={metrics[0]}",
        f"experiment_name={EXPERIMENT}",
        f"run_name={target.name}",
        "plots=false",
    ]


def _measure(
    planned: Plan, once: Sequence[str], repeat: str | None, config_dir: Path | None
) -> tuple[Mapping[str, float], str | None]:
    """The metrics of a run, or their means over its repetitions, and its id."""
    if repeat is None:
        result = run_plan(planned)
        return result.metrics, result.run_id
    summary = run_sweep([*once, repeat], config_dir)
    for job in summary.jobs:
        if job.error is not None:
            raise DataError(f"{' '.join(job.overrides)}: {job.error}")
    return summary.means, summary.run_id


def _within(difference: float, target: Target, metric: str) -> bool:
    return abs(difference) <= target.published[metric].tolerance
