"""What a replay is told beside the experiment: the policy, the stream, its windows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from recexp import build
from recexp.config import assignments, sweep_values
from recexp.errors import ConfigError, did_you_mean
from recexp.streaming.following import POLICIES, Policy

_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}

_NOT_OF_A_STREAM = {
    "split": "the stream is cut by warmup_fraction",
    "validation": "every event is tested before it is learned from",
    "early_stopping": "set algo.epochs",
    "users": "known and new users are segments of the result",
    "leakage": "the past never sees the future here",
    "leakage_thresholds": "the past never sees the future here",
    "n_negatives": "the whole catalogue is ranked",
}
"""Keys of a run that say nothing here, and why."""


@dataclass(frozen=True)
class Settings:
    """The keys of a replay that are none of a run.

    Attributes:
        policy: how the model follows the stream.
        update_every: of `incremental`: events between updates.
        refit_every: seconds of the stream between refits; None: none, of `refit` a day.
        delay: seconds after which an event can be learned from.
        warmup_fraction: of the dataset's interactions, fitted on before the stream begins.
        n_windows, window: the number of windows of the result, or their length in seconds.
        source: `dataset` (what follows the warm-up), `-` (JSON lines on standard input) or
            `kafka://HOST:PORT/TOPIC`; these come after the whole dataset.
        max_events: end after so many events; None: all.
        idle_seconds: of a topic: end when no message came for so long; None: never.
        log_every: of a live source: events between two lines of figures.
    """

    policy: str
    update_every: int = 1
    refit_every: int | None = None
    delay: int = 0
    warmup_fraction: float = 0.5
    n_windows: int | None = None
    window: int | None = None
    source: str = "dataset"
    max_events: int | None = None
    idle_seconds: float | None = None
    log_every: int = 1000

    def __post_init__(self) -> None:
        if self.policy not in POLICIES:
            raise ConfigError(f"policy={self.policy}{did_you_mean(self.policy, POLICIES)}")
        if not 0 < self.warmup_fraction < 1:
            raise ConfigError(
                f"warmup_fraction={self.warmup_fraction}: expected a number between 0 and 1, both "
                "excluded"
            )
        for name in ("update_every", "n_windows", "max_events", "log_every"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"{name}={value}: expected a whole number >= 1")
        for name in ("refit_every", "window", "idle_seconds"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ConfigError(f"{name}={value}: expected a time > 0, such as 1d")
        if self.n_windows is not None and self.window is not None:
            raise ConfigError("give n_windows or window, not both")
        if self.live and not (self.source == "-" or self.source.startswith("kafka://")):
            raise ConfigError(
                f"source={self.source}: expected dataset, - (JSON lines on standard input) or "
                "kafka://HOST:PORT/TOPIC"
            )
        if self.idle_seconds is not None and not self.source.startswith("kafka://"):
            raise ConfigError("idle_seconds is of source=kafka://...: leave it out")
        self.followed()

    @property
    def live(self) -> bool:
        """Whether the events come from outside."""
        return self.source != "dataset"

    def followed(self) -> Policy:
        """Return the policy; raises ConfigError for options that do not go together."""
        name: Any = self.policy
        every = self.refit_every
        if name == "refit" and every is None:
            every = _UNITS["d"]
        return Policy(name, self.update_every, every, self.delay)

    def identity(self) -> dict[str, Any]:
        """Return what of these decides the numbers, with defaults made plain."""
        policy = self.followed()
        n_windows = 10 if self.window is None and self.n_windows is None else self.n_windows
        found = {
            "policy": policy.name,
            "update_every": policy.update_every if policy.name == "incremental" else None,
            "refit_every": policy.refit_every,
            "delay": policy.delay,
            "warmup_fraction": None if self.live else self.warmup_fraction,
            "n_windows": n_windows,
            "window": self.window,
            "source": self.source,
            "max_events": self.max_events,
        }
        return {key: value for key, value in found.items() if value is not None}

    def texts(self) -> dict[str, str]:
        """Return `identity` as people write it: times with their unit."""
        return {
            key: spelled(value) if key in _TIMES else str(value)
            for key, value in self.identity().items()
        }


_HINTS: dict[str, Any] = {
    "update_every": int,
    "n_windows": int | None,
    "max_events": int | None,
    "log_every": int,
    "warmup_fraction": float,
    "policy": str,
    "source": str,
}
_TIMES = ("refit_every", "delay", "window", "idle_seconds")
KEYS = tuple(field.name for field in fields(Settings))


def read_settings(overrides: Sequence[str]) -> tuple[Settings, list[str]]:
    """Return the settings, and the overrides that are the experiment's.

    Raises ConfigError for values of the wrong type, and for keys of a run that do not apply.
    """
    settings: dict[str, Any] = {}
    rest: list[str] = []
    for text in overrides:
        # Hydra's grammar has no word that begins with a slash or is a minus.
        key, equals, raw = text.partition("=")
        if key == "source" and equals:
            settings[key] = raw.strip("'\"")
            continue
        ((key, value, _),) = assignments([text])
        if len(sweep_values([text])) > 1:
            raise ConfigError(f"{text}: a replay is one run; give one value, or replay each")
        name = key.partition(".")[0].partition("@")[0]
        if name in _NOT_OF_A_STREAM or (key == "candidates" and value == "sampled"):
            why = _NOT_OF_A_STREAM.get(name, "the whole catalogue is ranked")
            raise ConfigError(f"{text} does not apply to a replay: {why}; leave it out")
        if key in _TIMES:
            settings[key] = None if value is None else seconds(key, value)
        elif key in _HINTS:
            if not build.matches(value, _HINTS[key]):
                raise ConfigError(f"{key}={value!r}: expected {build.describe(_HINTS[key])}")
            settings[key] = value
        else:
            rest.append(text)
    if "policy" not in settings:
        raise ConfigError(f"replay needs a policy: policy={' | '.join(POLICIES)}")
    return Settings(**settings), rest


def seconds(key: str, value: Any) -> int:
    """Return the seconds that `45`, `45s`, `30m`, `1h`, `7d` or `2w` say.

    >>> seconds("delay", "1h"), seconds("delay", 90)
    (3600, 90)
    """
    match = re.fullmatch(r"(\d+)\s*([smhdw]?)", str(value))
    if match is None or isinstance(value, bool):
        raise ConfigError(f"{key}={value}: expected a time such as 45s, 30m, 1h, 7d")
    return int(match[1]) * _UNITS[match[2] or "s"]


def spelled(seconds: int) -> str:
    """Return a number of seconds as `seconds` reads it, in the largest unit that is exact.

    >>> spelled(86_400), spelled(90), spelled(0)
    ('1d', '90s', '0s')
    """
    for name in "dhm":
        if seconds and seconds % _UNITS[name] == 0:
            return f"{seconds // _UNITS[name]}{name}"
    return f"{seconds}s"
