"""What an experiment found: everything that is printed, plotted, stored or compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from recexp.algorithms.base import Recommender
from recexp.data.dataset import Dataset
from recexp.data.preprocess import StepReport
from recexp.early_stopping import Curve
from recexp.evaluation.evaluator import Evaluation
from recexp.evaluation.ratings import RatedPairs
from recexp.evaluation.recommend import Recommendations
from recexp.splits.audit import Audit
from recexp.splits.base import Split


@dataclass(frozen=True, eq=False)
class Outcome:
    """A finished experiment.

    Attributes:
        name: the run's name.
        names: the chosen option of `algo`, `dataset` and `split`.
        config: the resolved configuration as plain values.
        objective: the metric that tables lead with, such as `ndcg@10`.
        seed: of the run.
        dataset: after preprocessing; `steps` say what that changed.
        split, audit: the two sides, and what the audit found.
        recommender: fitted on `split.train`.
        recommendations: the lists of the evaluated users.
        ratings: predicted against true ratings of the test, or None without ratings.
        evaluation: of the test; `validation` of the validation part, and `sampled` of the test
            over sampled candidates, if one was asked for.
        seconds: by stage, in the order they ran; peak_mb: peak memory of the process.
        early_stopping: the training that told how many epochs to learn, if one did.
    """

    name: str
    names: Mapping[str, str]
    config: Mapping[str, Any]
    objective: str
    seed: int
    dataset: Dataset
    steps: Sequence[StepReport]
    split: Split
    audit: Audit
    recommender: Recommender
    recommendations: Recommendations
    ratings: RatedPairs | None
    evaluation: Evaluation
    validation: Evaluation | None
    sampled: Evaluation | None
    seconds: Mapping[str, float]
    peak_mb: float
    early_stopping: Curve | None = None
