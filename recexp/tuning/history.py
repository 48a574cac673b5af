"""The trials of a study as Optuna keeps them, in a database beside the tracking store.

One process alone asks and tells, so the database has one writer. What it has told survives
whatever happens to the process.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recexp.errors import ConfigError, StorageError
from recexp.rng import derive
from recexp.tuning.space import Choices, Dimension, Range, Space, Value

_LOST = "lost"
"""The attribute of a trial whose worker went away with the whole process; it is done again."""

_STARTUP = 5
"""Finished trials before the pruner may stop one."""


@dataclass(frozen=True)
class Trial:
    """A trial that ended, or (state RUNNING) was under way when the process was stopped.

    `state` is COMPLETE, PRUNED (stopped early: `value` is the last that was seen) or FAIL.
    """

    number: int
    state: str
    value: float
    seconds: float
    values: Mapping[str, Value]
    error: str | None = None
    run_id: str | None = None
    recorded: bool = True


@dataclass(eq=False)
class Asked:
    """A trial under way."""

    number: int
    values: dict[str, Value]
    started: float = field(default_factory=time.monotonic)
    native: Any = None
    last: float = math.nan

    def report(self, step: int, value: float) -> bool:
        """Take in the objective after `step` epochs; return whether the trial is to be stopped."""
        self.last = value
        self.native.report(value, step)
        return self.number > 0 and bool(self.native.should_prune())


class History:
    """A study: what was tried and what came of it.

    Args:
        database: the SQLite file, made when missing.
        name: of the study in it.
        space: must be that of the study's earlier trials.
        identity: what else decides the values (config hash, objective, ...), by name, likewise.
        lower_is_better: the direction of the objective.
        seed: of the sampler, from which every trial draws apart, so that a study that was stopped
            goes on as if it had not been (with one worker).
        prune: whether a trial below the median of the others at the same epoch is stopped.

    Raises ConfigError when a study of this name searched something else, StorageError when the
    database cannot be used.
    """

    def __init__(
        self,
        database: Path,
        name: str,
        space: Space,
        identity: Mapping[str, str],
        *,
        lower_is_better: bool,
        seed: int,
        prune: bool,
        parallel: bool,
    ) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.name, self.space, self._seed, self._parallel = name, space, seed, parallel
        self.lower_is_better = lower_is_better
        pruner: Any = optuna.pruners.NopPruner()
        if prune:
            pruner = optuna.pruners.MedianPruner(n_startup_trials=_STARTUP, n_warmup_steps=2)
        try:
            storage = optuna.storages.RDBStorage(
                f"sqlite:///{database}", engine_kwargs={"connect_args": {"timeout": 60}}
            )
            self._study = optuna.create_study(
                storage=storage,
                study_name=name,
                direction="minimize" if lower_is_better else "maximize",
                pruner=pruner,
                load_if_exists=True,
            )
        except Exception as error:
            reason = str(error).strip().splitlines()[0][:200] or type(error).__name__
            raise StorageError(
                f"the trials cannot be kept in {database}: {reason}; move the file away or make "
                "it writable"
            ) from error
        self._agree({"space": space.fingerprint, **identity})
        self._take_back()
        if not self._study.trials:
            self._study.enqueue_trial(space.defaults)

    def attribute(self, name: str) -> Any:
        """Return what was noted of the study under `name`, or None."""
        return self._study.user_attrs.get(name)

    def note(self, name: str, value: Any) -> None:
        """Keep a plain value with the study."""
        self._study.set_user_attr(name, value)

    def ask(self) -> Asked:
        """Return the next trial: one to be done again, the default first, else a new one."""
        import optuna

        index = sum(1 for trial in self._study.trials if _LOST not in trial.user_attrs)
        index -= len(self._study.get_trials(deepcopy=False, states=(_state("WAITING"),)))
        sampler_seed = int(derive(self._seed, "tune", str(index)).integers(1 << 31))
        self._study.sampler = optuna.samplers.TPESampler(
            seed=sampler_seed, constant_liar=self._parallel
        )
        waiting = self._study.get_trials(deepcopy=False, states=(_state("WAITING"),))
        fixed = waiting[0].system_attrs["fixed_params"] if waiting else {}
        native = self._study.ask(
            {
                name: _distribution(one, fixed.get(name, _ANY))
                for name, one in self.space.dimensions.items()
            }
        )
        return Asked(native.number, dict(native.params), native=native)

    def tell(self, asked: Asked, state: str, value: float, error: str | None = None) -> Trial:
        """Keep how a trial ended, for good."""
        seconds = time.monotonic() - asked.started
        self._unrecorded([*self._pending(), asked.number])
        asked.native.set_user_attr("seconds", seconds)
        if error is not None:
            asked.native.set_user_attr("error", error)
        self._study.tell(asked.native, value if state == "COMPLETE" else None, state=_state(state))
        return Trial(asked.number, state, value, seconds, asked.values, error)

    def opened(self, asked: Asked, run_id: str | None) -> None:
        """Note the run in which a trial is recorded."""
        asked.native.set_user_attr("run_id", run_id)

    def recorded(self, number: int) -> None:
        """Note that the record of a trial is complete."""
        self._unrecorded([one for one in self._pending() if one != number])

    def trials(self) -> list[Trial]:
        """Return the trials that have ended, in the order they were begun."""
        found = []
        pending = self._pending()
        for one in self._study.get_trials(deepcopy=False):
            if not one.state.is_finished() or _LOST in one.user_attrs:
                continue
            value = math.nan if one.value is None else float(one.value)
            found.append(
                Trial(
                    one.number,
                    one.state.name,
                    value,
                    one.user_attrs.get("seconds", math.nan),
                    one.params,
                    one.user_attrs.get("error"),
                    one.user_attrs.get("run_id"),
                    one.number not in pending,
                )
            )
        return found

    def _pending(self) -> list[int]:
        """The trials that have ended and whose record may not be complete."""
        return list(self.attribute("pending") or ())

    def _unrecorded(self, numbers: list[int]) -> None:
        self.note("pending", numbers)

    def _agree(self, identity: Mapping[str, str]) -> None:
        """Note what the study searches, or raise when it has searched something else."""
        known = self.attribute("identity")
        if known is None:
            self.note("identity", dict(identity))
        elif known != dict(identity):
            what = [name for name in identity if known.get(name) != identity[name]]
            raise ConfigError(
                f"study={self.name} exists with another {' and '.join(what)}: its trials cannot "
                "be compared with new ones; choose another name (study=NAME)"
            )

    def _take_back(self) -> None:
        """Queue again what was under way when the process went away."""
        for trial in self._study.get_trials(deepcopy=False, states=(_state("RUNNING"),)):
            storage = self._study._storage
            storage.set_trial_user_attr(trial._trial_id, _LOST, True)
            storage.set_trial_state_values(trial._trial_id, _state("FAIL"))
            values = trial.params or trial.system_attrs.get("fixed_params", {})
            if len(values) == len(self.space.dimensions):
                self._study.enqueue_trial(dict(values))
            elif trial.number == 0:
                self._study.enqueue_trial(self.space.defaults)


def importances(trials: list[Trial], space: Space, seed: int) -> dict[str, float]:
    """Return the share of the objective's variance that each hyperparameter explains, by fANOVA.

    Hutter, Hoos, Leyton-Brown (ICML 2014), over the complete trials; empty for fewer than 4, or
    when all have the same value.
    """
    import optuna

    complete = [one for one in trials if one.state == "COMPLETE"]
    if len(complete) < 4 or len({one.value for one in complete}) < 2:
        return {}
    distributions = {
        name: _distribution(one, *(trial.values[name] for trial in complete))
        for name, one in space.dimensions.items()
    }
    study = optuna.create_study()
    for one in complete:
        study.add_trial(
            optuna.create_trial(
                params=dict(one.values), distributions=distributions, value=one.value
            )
        )
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=seed)
    found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {name: float(value) for name, value in found.items()}


_ANY = object()


def _distribution(dimension: Dimension, *including: Any) -> Any:
    """The dimension as Optuna draws from it, wide enough for the given values."""
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    if isinstance(dimension, Choices):
        return CategoricalDistribution(dimension.choices)
    for value in including:
        if value is not _ANY:
            dimension = dimension.including(value)
    assert isinstance(dimension, Range)
    if dimension.type == "int":
        return IntDistribution(int(dimension.low), int(dimension.high), log=dimension.log)
    return FloatDistribution(dimension.low, dimension.high, log=dimension.log)


def _state(name: str) -> Any:
    from optuna.trial import TrialState

    return TrialState[name]
