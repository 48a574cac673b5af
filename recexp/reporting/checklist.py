"""The field's questions on reproducibility, answered from what runs recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Answer = Literal["yes", "no", "not recorded"]

SOURCES = {
    "P": "Pineau et al. 2021, Improving Reproducibility in Machine Learning Research (the NeurIPS "
    "checklist), JMLR 22",
    "D": "Ferrari Dacrema et al. 2019, Are We Really Making Much Progress?, RecSys",
    "B": "Beel et al. 2016, Towards reproducibility in recommender-systems research, UMUAI 26",
    "C": "Cañamares et al. 2020, Offline evaluation options for recommender systems, IRJ 23",
    "K": "Krichene and Rendle 2020, On Sampled Metrics for Item Recommendation, KDD",
}
"""Where the questions come from, by the letters behind them."""


@dataclass(frozen=True)
class Item:
    """A question, its answer, and where that stands; `sources` are letters of `SOURCES`."""

    topic: str
    question: str
    answer: Answer
    where: str
    sources: str


@dataclass(frozen=True)
class Evidence:
    """What the answers are taken from.

    Attributes:
        question: what the experiment asks, empty if nobody wrote it down.
        runs: params, metrics and tags of every run, as `params.algo`, `metrics.rmse`, ...
        provenances: the `provenance.json` of every run that has one.
        audits: the `split_audit.json` of every split.
        simple: whether every comparison has a simple baseline.
        tuned: the algorithms tuned, and the number of trials of each.
        seeds: how many seeds the runs have, at one split.
        reproduced: how many runs were made again by `recexp reproduce`.
        profiled: whether the profile of every dataset is there.
    """

    question: str
    runs: Sequence[Mapping[str, Any]]
    provenances: Sequence[Mapping[str, Any]]
    audits: Sequence[Mapping[str, Any]]
    simple: bool
    tuned: Mapping[str, int]
    seeds: int
    reproduced: int
    profiled: bool


def checklist(found: Evidence) -> list[Item]:
    """Return every question with its answer."""
    return [*_question(found), *_data(found), *_method(found), *_evaluation(found), *_making(found)]


def _question(found: Evidence) -> list[Item]:
    return [
        Item(
            "Question",
            "Is it said what the experiment asks?",
            "yes" if found.question else "not recorded",
            "the experiment's description"
            if found.question
            else "write it in MLflow's description",
            "P",
        )
    ]


def _data(found: Evidence) -> list[Item]:
    facts = [one.get("dataset_facts", {}) for one in found.provenances]
    licence = bool(facts) and all(one.get("licence") for one in facts)
    future = [one.get("future_training_share") for one in found.audits]
    pairs = [one.get("duplicate_pairs") for one in found.audits]
    return [
        Item(
            "Data",
            "Is the data named, and identified by its content?",
            _all(found, "tags.recexp.dataset_fingerprint"),
            "params dataset.*, tag recexp.dataset_fingerprint",
            "PB",
        ),
        Item(
            "Data",
            "Are source and licence given?",
            "yes" if licence else "not recorded",
            "provenance.json, dataset_facts",
            "P",
        ),
        Item(
            "Data",
            "Are its statistics given?",
            "yes" if found.profiled else "not recorded",
            "data_profile.json",
            "PB",
        ),
        Item(
            "Data",
            "Is every step of preprocessing described, with what it removed?",
            _known([one.get("preprocess") is not None for one in found.provenances]),
            "config.yaml, provenance.json",
            "PD",
        ),
        Item(
            "Split",
            "Can the split be made again, and checked?",
            _all(found, "tags.recexp.split_fingerprint"),
            "params split.*, tag recexp.split_fingerprint",
            "DB",
        ),
        Item(
            "Split",
            "Is nothing in training later than the test it is measured on?",
            _none(future),
            f"split_audit.json, future_training_share {_numbers(future, '.1%')}",
            "C",
        ),
        Item(
            "Split",
            "Is no pair of user and item on both sides?",
            _none(pairs),
            f"split_audit.json, duplicate_pairs {_numbers(pairs, ',')}",
            "D",
        ),
    ]


def _method(found: Evidence) -> list[Item]:
    budgets = sorted(set(found.tuned.values()))
    tuned = ", ".join(f"{algo} {n}" for algo, n in found.tuned.items())
    seeds = f"{found.seeds} seed{'s' if found.seeds > 1 else ''} at one split"
    learned = {one.get("params.algo", "") for one in found.runs} - {""}
    all_tuned = bool(learned) and learned <= set(found.tuned)
    return [
        Item(
            "Methods",
            "Are all hyperparameters of every run given?",
            _known([any(key.startswith("params.") for key in one) for one in found.runs]),
            "params algo.*, config.yaml",
            "PD",
        ),
        Item(
            "Methods",
            "Is a simple method among those compared?",
            "yes" if found.simple else "no",
            f"compared: {', '.join(sorted(learned))}",
            "D",
        ),
        Item(
            "Methods",
            "Were the methods tuned, the simple ones too?",
            "yes" if all_tuned else "no",
            f"tuned: {tuned}" if tuned else "every run has the hyperparameters that it was given",
            "D",
        ),
        Item(
            "Methods",
            "Did all have the same budget of trials?",
            "not recorded" if not budgets else "yes" if all_tuned and len(budgets) == 1 else "no",
            f"trials: {tuned}" if tuned else "nothing was tuned in this experiment",
            "DP",
        ),
        Item(
            "Methods",
            "Is the noise of training shown, by several seeds?",
            "yes" if found.seeds > 1 else "no",
            seeds,
            "P",
        ),
    ]


def _evaluation(found: Evidence) -> list[Item]:
    candidates = {one.get("params.candidates") for one in found.runs}
    return [
        Item(
            "Evaluation",
            "Is every metric defined, with its cutoff?",
            "yes",
            "recexp list metric: formula and source of each",
            "PB",
        ),
        Item(
            "Evaluation",
            "Is the whole catalogue ranked, not a sample of it?",
            "not recorded" if None in candidates else "no" if "train" in candidates else "yes",
            f"param candidates: {', '.join(sorted(filter(None, candidates)))}",
            "K",
        ),
        Item(
            "Evaluation",
            "Do all means have intervals?",
            _known([any("_ci_low" in key for key in one) for one in found.runs]),
            "95 % bootstrap over users; metrics.csv",
            "P",
        ),
        Item(
            "Evaluation",
            "Are differences tested, and corrected for their number?",
            "yes" if len(found.runs) > 1 else "no",
            "paired permutation test, Holm's correction; this page",
            "PB",
        ),
        Item(
            "Evaluation",
            "Are the results kept user by user, with the lists?",
            "yes",
            "per_user.parquet, recommendations.parquet",
            "B",
        ),
    ]


def _making(found: Evidence) -> list[Item]:
    git = [one.get("git") for one in found.provenances]
    commits = {one["commit"][:12] for one in git if one}
    dirty = any(one and one["dirty"] for one in git)
    hashes = {one.get("recexp_sha256", "")[:12] for one in found.provenances} - {""}
    code: Answer = "not recorded" if not git or None in git else "no" if dirty else "yes"
    state = f"commit {', '.join(sorted(commits))}" if commits else "no git repository"
    state += ", with changes" if dirty else ""
    return [
        Item(
            "Making",
            "Is the code that ran a commit, without uncommitted changes?",
            code,
            f"{state}; recexp's code {', '.join(sorted(hashes)) or 'unknown'}",
            "PD",
        ),
        Item(
            "Making",
            "Are the versions of all software given?",
            _known([bool(one.get("packages")) for one in found.provenances]),
            "provenance.json, packages",
            "PB",
        ),
        Item(
            "Making",
            "Is the machine described?",
            _known([bool(one.get("cpu") or one.get("machine")) for one in found.provenances]),
            "provenance.json: cpu, cores, platform, threads",
            "P",
        ),
        Item(
            "Making",
            "Are time and memory given?",
            _all(found, "metrics.time/total_seconds"),
            "metrics time/*, memory/peak_mb",
            "P",
        ),
        Item(
            "Making",
            "Was a result confirmed by running it again?",
            "yes" if found.reproduced else "no",
            f"made again with recexp reproduce: {found.reproduced}",
            "DB",
        ),
    ]


def _all(found: Evidence, key: str) -> Answer:
    return _known([key in one for one in found.runs])


def _known(present: Sequence[bool]) -> Answer:
    return "yes" if present and all(present) else "not recorded"


def _none(values: Sequence[Any]) -> Answer:
    """Whether all of some counts or shares are zero."""
    if not values or any(value is None for value in values):
        return "not recorded"
    return "no" if any(values) else "yes"


def _numbers(values: Sequence[Any], form: str) -> str:
    known = [format(value, form) for value in values if value is not None]
    return ", ".join(dict.fromkeys(known)) or "unknown"
