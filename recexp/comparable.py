"""Which recorded runs are compared, and which cannot be."""

from __future__ import annotations

from collections.abc import Sequence

from recexp.errors import ConfigError, StorageError
from recexp.evaluation.significance import Identity, check_comparable
from recexp.tracking.records import RunReader, RunRecord

_DATA = ("dataset", "preprocess", "relevance_threshold")
_SPLIT = ("split", "users", "seed")
_MEASURED = ("candidates", "exclude_seen")


def select(
    reader: RunReader, runs: Sequence[str], experiment: str | None, filter: str | None
) -> tuple[list[RunRecord], list[str]]:
    """Return the runs to be compared, and notes on those of an experiment that were left out."""
    notes: list[str] = []
    if runs:
        if filter is not None:
            raise ConfigError("give runs or a filter, not both")
        chosen = reader.named(runs, experiment)
        for run in chosen:
            if (reason := _unfit(reader, run)) is not None:
                raise StorageError(f"run {run.key} {reason}")
    elif experiment is not None or filter is not None:
        found = (
            reader.matching(filter or "")
            if experiment is None
            else reader.of_experiment(experiment, filter)
        )
        chosen, notes = comparable(reader, found)
    else:
        known = ", ".join(reader.store.experiments())
        raise ConfigError(f"name the runs, or an experiment of {reader.where}: {known}")
    if len(chosen) < 2:
        more = f" ({'; '.join(notes)})" if notes else ""
        raise ConfigError(f"expected at least 2 runs to compare, found {len(chosen)}{more}")
    return chosen, notes


def check_same_measurement(runs: Sequence[RunRecord]) -> None:
    """Raise ConfigError, which says what differs, unless all runs measured the same thing."""
    first = runs[0]
    for other in runs[1:]:
        try:
            check_comparable(identity(first), identity(other))
        except ConfigError as error:
            hint = _differing(runs, (*_DATA, *_SPLIT))
            raise ConfigError(f"{error}{hint}") from error
        for key in _MEASURED:
            a, b = (run.params.get(key) for run in (first, other))
            if a != b:
                raise ConfigError(
                    f"runs {first.key} and {other.key} were measured differently: {key}={a} and "
                    f"{key}={b}; run both with the same"
                )


def groups(runs: Sequence[RunRecord]) -> list[list[RunRecord]]:
    """Return the runs that measured the same thing, together, in the order of their first."""
    found: dict[tuple[str | None, ...], list[RunRecord]] = {}
    for run in runs:
        of = identity(run)
        measured = (run.params.get(key) for key in _MEASURED)
        key = (of.dataset_fingerprint, of.split_fingerprint, *measured)
        found.setdefault(key, []).append(run)
    return list(found.values())


def identity(run: RunRecord) -> Identity:
    """Return what a run was measured on."""
    tags = run.tags
    return Identity(
        str(run.key), tags["recexp.dataset_fingerprint"], tags["recexp.split_fingerprint"]
    )


def _unfit(reader: RunReader, run: RunRecord) -> str | None:
    """Why a run cannot be compared, or None when it can."""
    if (kind := run.tags.get("recexp.kind")) is not None:
        return f"is a {kind}, not a run of its own; name one of its runs"
    if run.key.status == "RUNNING":
        return "is still running; wait for it to finish"
    if run.key.status != "FINISHED":
        reason = run.tags.get("recexp.reason", "without a recorded reason")
        return f"did not finish: {run.key.status}, {reason}"
    if not {"recexp.dataset_fingerprint", "recexp.split_fingerprint"} <= set(run.tags):
        return "was not made by recexp: it has no fingerprints of its data and split"
    if reader.artifact(run, "per_user.parquet") is None:
        return (
            "has no per_user.parquet, without which nothing can be tested; it was deleted, or "
            "made by another version: run it again"
        )
    return None


def comparable(reader: RunReader, runs: Sequence[RunRecord]) -> tuple[list[RunRecord], list[str]]:
    """Return the runs that can be compared, and notes on the others.

    Of runs with the same configuration the newest; reruns by `recexp reproduce`, sweeps and
    searches are passed over silently.
    """
    chosen: dict[tuple[str, ...], RunRecord] = {}
    notes = []
    repeated = 0
    for run in runs:
        if "recexp.kind" in run.tags or "recexp.reproduces" in run.tags:
            continue
        try:
            reason = _unfit(reader, run)
        except StorageError as error:
            reason = f"is left out: {error}"
        if reason is not None:
            notes.append(f"{run.key} {reason}")
            continue
        of = identity(run)
        configuration = run.tags.get("recexp.config_hash", run.run_id)
        key = (configuration, of.dataset_fingerprint, of.split_fingerprint)
        repeated += key in chosen
        chosen.setdefault(key, run)
    if repeated:
        notes.append(f"{repeated} older runs of the same configurations are left out")
    return list(chosen.values()), notes


def _differing(runs: Sequence[RunRecord], keys: Sequence[str]) -> str:
    """The parameters of data and split that are not the same in all runs, and how to choose."""
    names = sorted({name for run in runs for name in run.params if name.partition(".")[0] in keys})
    values = {name: list(dict.fromkeys(run.params.get(name) for run in runs)) for name in names}
    differ = {name: v for name, v in values.items() if len(v) > 1 and None not in v}
    if not differ:
        return ""
    told = ", ".join(f"{name} ({', '.join(map(str, v[:5]))})" for name, v in differ.items())
    name, (value, *_) = next(iter(differ.items()))
    return f". They differ in {told}; choose, as with --filter \"params.{name} = '{value}'\""
