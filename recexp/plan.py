"""A run made ready: every choice checked and every part built, before any data is read."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from recexp import build
from recexp.algorithms.base import Recommender
from recexp.config import Composed, Frame, options
from recexp.data.dataset import Dataset
from recexp.early_stopping import EarlyStopping, check_stoppable
from recexp.errors import ConfigError, DataError, did_you_mean
from recexp.evaluation.evaluator import DEFAULT_METRICS
from recexp.evaluation.metrics import list_length, select
from recexp.evaluation.ratings import Fallback
from recexp.rng import derive
from recexp.splits.audit import Mode
from recexp.splits.base import Split
from recexp.splits.described import Described
from recexp.tracking.base import Tracker


@dataclass(frozen=True)
class Plan:
    """What a run will do. The callables are bound to their options; the rest are plain values.

    Lists are always ranked over `candidates`; with `n_negatives` sampled metrics stand beside them.
    """

    composed: Composed
    load: Callable[[], Dataset]
    steps: Mapping[str, Callable[..., Dataset]]
    features: Mapping[str, Callable[[Dataset], Dataset]]
    split: Callable[..., Split]
    validate: Callable[..., Split] | None
    recommender: Callable[[], Recommender]
    tracker: Tracker
    metrics: tuple[str, ...]
    list_length: int
    seed: int
    threads: int
    candidates: Literal["all", "train"]
    n_negatives: int | None
    rating_fallback: Fallback
    early_stopping: EarlyStopping | None
    leakage: Mode
    save_split: Path | None
    frame: Frame

    @property
    def names(self) -> dict[str, str]:
        """The chosen option of `algo`, `dataset` and `split`."""
        return {group: self.composed.choices[group] for group in ("algo", "dataset", "split")}

    @property
    def run_name(self) -> str:
        return self.frame.run_name or "-".join(self.names.values())


def plan(composed: Composed, config_dir: Path | None = None) -> Plan:
    """Return the plan of a composed configuration.

    Raises ConfigError, in one line, for the first thing that cannot work.
    """
    frame = _frame(composed, config_dir)
    requested = DEFAULT_METRICS if frame.metrics is None else tuple(frame.metrics)
    measures = select((*requested, frame.objective), frame.cutoffs)
    recommender = build.bind(frame.algo, "algo")
    recommender()  # a hyperparameter out of range shows here
    options = dict(frame.split)
    save = options.pop("save", None)
    split = build.bind(options, "split", given=("dataset", "rng"))
    _rehearse(split)
    profiles = build.bind(frame.profiles, "profiles", given=("split",)) if frame.profiles else None
    features = {
        name: build.bind(step, f"features.{name}", given=("dataset",))
        for name, step in (frame.features or {}).items()
        if step is not None
    }
    validation = _validation(frame, split)
    steps = {name: step for name, step in (frame.preprocess or {}).items() if step is not None}
    return Plan(
        composed=composed,
        load=build.bind(frame.dataset, "dataset"),
        steps={
            name: build.bind(step, f"preprocess.{name}", given=("dataset", "rng"))
            for name, step in steps.items()
        },
        features=features,
        split=Described(split, tuple(features.values()), profiles),
        # What is validated on is carved out of training, which has its features already.
        validate=validation and Described(validation, (), profiles),
        recommender=recommender,
        tracker=build.bind(frame.tracking, "tracking")(),
        metrics=tuple(measure.name for measure in measures),
        list_length=list_length(measures),
        seed=frame.seed,
        threads=frame.threads or os.cpu_count() or 1,
        candidates="train" if frame.candidates == "train" else "all",
        n_negatives=frame.n_negatives if frame.candidates == "sampled" else None,
        rating_fallback=_choice("rating_fallback", frame.rating_fallback, ("means", "global")),
        early_stopping=_early_stopping(frame, recommender()),
        leakage=_choice("leakage", frame.leakage, ("report", "warn", "fail")),
        save_split=None if save is None else Path(save),
        frame=frame,
    )


def _frame(composed: Composed, config_dir: Path | None) -> Frame:
    """The checked frame, as plain values with interpolations resolved."""
    names = [field.name for field in dataclasses.fields(Frame)]
    for key in composed.config:
        if key not in names:
            raise ConfigError(f"no config key '{key}'{did_you_mean(str(key), names)}")
    for key, name in composed.choices.items():
        group = key.partition("@")[0]
        if name != "None" and name not in (known := options(group, config_dir)):
            raise ConfigError(f"no option {key}={name}{did_you_mean(name, known)}")
    frame = Frame(**build.plain(composed.config))
    _choice("candidates", frame.candidates, ("all", "train", "sampled"))
    _choice("users", frame.users, ("all", "warm", "cold"))
    for key, low in (("seed", 0), ("threads", 1), ("n_negatives", 1)):
        if (value := getattr(frame, key)) is not None and value < low:
            raise ConfigError(f"{key}={value}: expected a whole number >= {low}")
    if not frame.cutoffs or min(frame.cutoffs) < 1:
        raise ConfigError(f"cutoffs={frame.cutoffs}: expected list lengths >= 1, such as [5,10,20]")
    return frame


def _rehearse(split: partial[Split]) -> None:
    """Let a protocol refuse its options now, on four made-up rows, not after hours of loading.

    Protocols that read files are left alone; what they say of made-up rows means nothing.
    """
    if "path" in inspect.signature(split.func).parameters:
        return
    two = np.array([0, 0, 1, 1])
    rows = Dataset.from_columns("rehearsal", two, two[::-1].copy(), timestamps=np.arange(4))
    with contextlib.suppress(DataError):
        split(rows, derive(0, "rehearsal"))


def _validation(frame: Frame, split: Callable[..., Split]) -> Callable[..., Split] | None:
    if frame.validation is None:
        return None
    if frame.validation == "same":
        return split
    return build.bind(frame.validation, "validation", given=("dataset", "rng"))


def _early_stopping(frame: Frame, recommender: Recommender) -> EarlyStopping | None:
    patience, every = (frame.early_stopping.get(key) for key in ("patience", "every"))
    if patience is None:
        return None
    check_stoppable(recommender, frame.objective, frame.validation is not None)
    return EarlyStopping(patience, 1 if every is None else every)


def _choice(key: str, value: str, accepted: Sequence[str]) -> Any:
    if value not in accepted:
        raise ConfigError(f"{key}={value}{did_you_mean(value, accepted)}")
    return value
