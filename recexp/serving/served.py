"""A run in service: its live model with what people ask of it, ids in and ids out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from recexp.algorithms.base import Explains, SimilarItems, Source
from recexp.data.ids import IdMap
from recexp.errors import ConfigError
from recexp.fitted import FittedModel
from recexp.serving.catalogue import ItemSearch, UserSearch
from recexp.serving.filters import ItemFilters
from recexp.serving.policies import Policy, RefitEvery, policy_of, sentence
from recexp.serving.profiles import Tastes
from recexp.serving.reasons import Reasons
from recexp.streaming.live import Answer, LiveModel
from recexp.tracking.records import RunReader
from recexp.tracking.store import find_model


@dataclass(frozen=True)
class Run:
    """Where a model in service comes from.

    Attributes:
        run_id: an id, or the folder of a run that no tracker took.
        folder: of the model.
        trusted: packages of which its classes may be.
        reader: by which it was found; what that downloaded lives as long.
    """

    run_id: str
    name: str
    folder: Path
    metrics: Mapping[str, float]
    trusted: Sequence[str] = ()
    reader: RunReader | None = None

    @property
    def short(self) -> str:
        """The beginning of the id, as people write it; the name of a folder."""
        folder = Path(self.run_id)
        return folder.name if folder.is_absolute() else self.run_id[:8]


def find(run: str, reader: RunReader, trusted: Sequence[str] = ()) -> Run:
    """Return where the model of a run is (see `find_model`), and what the run is called."""
    run_id, folder = find_model(run, reader)
    if folder.parent == Path(run_id):  # of a run that no tracker took
        return Run(run_id, folder.parent.name, folder, {}, trusted)
    record = reader.named([run_id])[0]
    headline = {
        name: value
        for name, value in record.metrics.items()
        if "/" not in name and not name.endswith(("_ci_low", "_ci_high")) and math.isfinite(value)
    }
    return Run(run_id, record.name, folder, headline, trusted, reader)


def check_together(served: Sequence[Served]) -> None:
    """Raise ConfigError unless the runs can share their events: ids of one kind, one scale."""
    first = served[0]
    for other in served[1:]:
        meaning, ours = other.live.histories.meaning, first.live.histories.meaning
        if meaning != ours:
            what = "scale of ratings" if meaning.scale != ours.scale else "kind of ids"
            raise ConfigError(
                f"{other.name} ({other.live.model.train.name}) and {first.name} "
                f"({first.live.model.train.name}) have not the same {what}, so they cannot share "
                "events; serve them one by one"
            )
        if other.run.run_id == first.run.run_id:
            raise ConfigError(f"--beside {other.run.short}: that is the same run; give another")


class Served:
    """A run in service under a `name`."""

    def __init__(
        self,
        run: Run,
        model: FittedModel,
        *,
        name: str | None = None,
        policy: str = "auto",
        refit_every: RefitEvery | None = None,
    ) -> None:
        self.run = run
        self.name = name or run.name
        self.policy: Policy = policy_of(model.recommender, policy)
        self.refit_every = refit_every
        self.live = LiveModel(model, folds_in=self.policy != "static")
        self.filters = ItemFilters(model.train)
        self.updates = sentence(self.policy, model.recommender, refit_every)
        self.n_refits = 0
        self.n_failed = 0
        self.failure: str | None = None

    @cached_property
    def users(self) -> UserSearch:
        return UserSearch(self.live)

    @cached_property
    def items(self) -> ItemSearch:
        return ItemSearch(self.live)

    @cached_property
    def tastes(self) -> Tastes:
        return Tastes(self.live)

    @cached_property
    def reasons(self) -> Reasons:
        return Reasons(self.live)

    def answers_to(self, name: str) -> bool:
        """Return whether `name` means this run: its name here, its own, or its id."""
        return name in (self.name, self.run.name, self.run.run_id, self.run.short)

    def prepare(self) -> None:
        """Work out what the first question of its kind would wait for."""
        _ = self.users, self.items, self.tastes, self.reasons, self.offered

    @cached_property
    def offered(self) -> dict[str, Any]:
        """The filters that there are."""
        return dict(self.filters.offered())

    def described(self) -> dict[str, Any]:
        """Return what `GET /models` says."""
        live, train = self.live, self.live.model.train
        recommender = live.learned.recommender
        return {
            "name": self.name,
            "run_id": self.run.run_id,
            "run_name": self.run.name,
            "algorithm": type(recommender).__name__,
            "dataset": train.name,
            "policy": self.policy,
            "updates": self.updates,
            "n_users": len(live.histories.users),
            "n_items": len(live.histories.items),
            "version": live.learned.version,
            "n_events": live.histories.n_events,
            "n_learned": live.learned.n_new,
            "n_refits": self.n_refits,
            "n_failed": self.n_failed,
            "failure": self.failure,
            "metrics": dict(self.run.metrics),
            "similar_items": isinstance(recommender, SimilarItems),
            "explains": isinstance(recommender, Explains | SimilarItems),
            "scale": train.scale,
            "relevance_threshold": train.relevance_threshold if train.explicit else None,
            "kinds": live.histories.meaning.kinds,
            "filters": self.offered,
        }

    def listed(
        self, answer: Answer, reasons: Sequence[Sequence[Mapping[str, Any]]] | None = None
    ) -> list[dict[str, Any]]:
        """Return the items of an answer as the API gives them, with `reasons` if there are some."""
        histories = self.live.histories
        ids = histories.items.ids
        found = []
        for rank, (item, score) in enumerate(
            zip(answer.items.tolist(), answer.scores.tolist(), strict=True), start=1
        ):
            one = {
                "item": ids[item],
                "rank": rank,
                "score": score if math.isfinite(score) else 0.0,
                "title": self.title(item),
                "columns": self.columns(item),
            }
            if reasons is not None:
                one["reasons"] = reasons[rank - 1] if reasons else []
            found.append(one)
        return found

    def title(self, item: int) -> str | None:
        """Return the title of the item at idx `item`, if it has one."""
        titles = self.live.model.train.item_columns.get("title", ())
        return titles[item] or None if item < len(titles) else None

    def columns(self, item: int) -> dict[str, str]:
        """Return what else is known of the item at idx `item`."""
        return {
            name: texts[item]
            for name, texts in self.live.model.train.item_columns.items()
            if name != "title" and item < len(texts) and texts[item]
        }

    def n_interactions(self, user: int) -> int:
        """Return with how many items the user at idx `user` has interactions."""
        rows = self.live.histories.trained(user)
        if not self.live.histories.deeds(user):
            return int(rows.stop - rows.start)
        return int(self.live.histories.history(user, len(self.live.histories.items)).nnz)


def source_name(source: Source) -> str:
    """Return how an answer was made, in the words of the API."""
    names = {Source.FOLD_IN: "fold_in", Source.FALLBACK: "popularity"}
    return names.get(source, "model")


def idx_of(ids: IdMap, id_: Any) -> int:
    """Return the idx of an id, -1 for one that is unknown."""
    return int(ids.to_idx([id_])[0])
