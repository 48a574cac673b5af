"""How many epochs to learn: as many as make a validation part best."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from recexp.algorithms.base import Iterative, Recommender
from recexp.errors import ConfigError
from recexp.evaluation.evaluator import evaluate
from recexp.evaluation.judge import evaluated_users
from recexp.evaluation.metrics import list_length, mlflow_name, parse_metric
from recexp.evaluation.ratings import Fallback, predict_ratings
from recexp.evaluation.recommend import recommend
from recexp.evaluation.registry import Kind
from recexp.evaluation.scoring import Scorer
from recexp.progress import progress
from recexp.splits.base import Split


class Point(NamedTuple):
    """What a validation part said after some epochs."""

    epochs: int
    value: float


@dataclass(frozen=True)
class Curve:
    """A training as its validation part saw it.

    Attributes:
        objective: the metric.
        points: in the order they were learned.
        best: the first of the points with the best value.
    """

    objective: str
    points: tuple[Point, ...]
    best: Point

    def __str__(self) -> str:
        return (
            f"{self.objective} on validation is best after {self.best.epochs} epochs "
            f"({self.best.value:.4f}; {self.points[-1].epochs} looked at)"
        )


@dataclass(frozen=True)
class EarlyStopping:
    """When to stop: after `patience` epochs without a new best, looking after `every` so many.

    The last epoch is looked at whatever `every`. Raises ConfigError for values below 1.
    """

    patience: int
    every: int = 1

    def __post_init__(self) -> None:
        for name in ("patience", "every"):
            if getattr(self, name) < 1:
                value = getattr(self, name)
                raise ConfigError(f"early_stopping.{name}={value}: expected a whole number >= 1")

    def watch(
        self,
        recommender: Recommender,
        split: Split,
        objective: str,
        measure: Callable[[Recommender, Split], float],
    ) -> Curve:
        """Train on `split.train`, measuring on the way, and return what was seen.

        `measure` gives the value of `objective` on the test side of `split`. The recommender is
        left as it was when training stopped. Raises ConfigError unless it is `Iterative`, or when
        no value of the objective is a number.
        """
        require_epochs(recommender)
        assert isinstance(recommender, Iterative)
        lower = parse_metric(objective).metric.lower_is_better
        points: list[Point] = []
        best: Point | None = None
        epochs = recommender.fit_epochs(split.train)
        for epoch in progress(epochs, "early stopping", recommender.epochs):
            if epoch % self.every and epoch != recommender.epochs:
                continue
            point = Point(epoch, measure(recommender, split))
            points.append(point)
            gain = best is None or (point.value < best.value if lower else point.value > best.value)
            if gain and point.value == point.value:
                best = point
            elif epoch - (0 if best is None else best.epochs) >= self.patience:
                break
        if best is None:
            raise ConfigError(f"early_stopping: {objective} is not a number in any epoch")
        return Curve(objective, tuple(points), best)


def check_stoppable(recommender: object, objective: str, validates: bool) -> None:
    """Raise ConfigError for a run that cannot be stopped early."""
    require_epochs(recommender)
    if not validates:
        raise ConfigError(
            "early_stopping needs a validation part: add split@validation=random (or another "
            "split), or validation=same"
        )
    check_objective(objective, "early_stopping")


def check_objective(objective: str, who: str) -> None:
    """Raise ConfigError for an objective that is several numbers; `who` needs one."""
    measure = parse_metric(objective)
    if measure.metric.has_cutoff and measure.cutoff is None:
        raise ConfigError(f"objective={objective}: {who} needs one number, such as {objective}@10")


def require_epochs(recommender: object) -> None:
    """Raise ConfigError for a recommender that cannot be stopped between epochs."""
    if not isinstance(recommender, Iterative):
        raise ConfigError(
            f"early_stopping: {type(recommender).__name__} cannot be looked at between epochs; "
            "use algo=lightfm, als or bpr, or early_stopping.patience=null"
        )


def measure_objective(
    recommender: Recommender,
    split: Split,
    objective: str,
    *,
    exclude_seen: bool = True,
    candidates: Literal["all", "train"] = "all",
    rating_fallback: Fallback = "means",
    seed: int = 42,
    threads: int = 1,
) -> float:
    """Return one metric of a fitted recommender on the test side of `split`, as a run would.

    Without intervals and the other metrics: for looking at a model while it learns. The options
    are those of `recommend` and `evaluate`.
    """
    measure = parse_metric(objective)
    lists = recommend(
        recommender,
        split,
        evaluated_users(split),
        list_length([measure]),
        exclude_seen=exclude_seen,
        candidates=candidates,
        seed=seed,
        threads=threads,
    ).lists
    rated = measure.metric.kind is Kind.ERRORS
    evaluation = evaluate(
        lists,
        split,
        metrics=[objective],
        ratings=predict_ratings(recommender, split, rating_fallback) if rated else None,
        scorer=Scorer(recommender, split),
        candidates=split.train.interactions.item_counts() > 0 if candidates == "train" else None,
        exclude_seen=exclude_seen,
        seed=seed,
        n_resamples=0,
    )
    return evaluation.metrics[mlflow_name(objective)]
