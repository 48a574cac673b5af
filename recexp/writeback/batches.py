"""Recommendations for everybody, written in batches that outlive an interruption."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np

from recexp.arrays import AnyArray
from recexp.errors import ConfigError
from recexp.fitted import FittedModel
from recexp.progress import progress

COLUMNS = ("user_id", "item_id", "rank", "score", "source")


@dataclass(frozen=True)
class Job:
    """What is written: two outputs of the same job are the same, and may be mixed.

    Attributes:
        run: whose model recommends.
        k, exclude_seen: of the lists.
        n_users: how many get one.
        batch_size: users in a batch; batch b has the users from b * batch_size on, in the order of
            the model.
    """

    run: str
    k: int
    exclude_seen: bool
    n_users: int
    batch_size: int

    @property
    def n_batches(self) -> int:
        return -(-self.n_users // self.batch_size)

    def text(self) -> str:
        """Return the job as a line of JSON, to be kept beside what it wrote."""
        return json.dumps(asdict(self), sort_keys=True)

    def clash(self, other: str) -> str:
        """Return what stands there instead, in words: `other` is the text of another job.

        >>> Job("ab12", 10, True, 943, 100).clash(Job("ab12", 5, True, 943, 100).text())
        'lists of run ab12 with k=5 (not 10)'
        """
        theirs = json.loads(other)
        differ = [
            f"{name}={theirs.get(name)} (not {mine})"
            for name, mine in asdict(self).items()
            if name != "run" and theirs.get(name) != mine
        ]
        return f"lists of run {theirs.get('run')}" + (
            f" with {', '.join(differ)}" if differ else ""
        )


class Sink(Protocol):
    """Takes batches, each whole or not at all, and knows later which it took."""

    def begin(self, job: Job, *, replace: bool) -> set[int]:
        """Return the batches of `job` that are written already.

        With `replace`, what another job has written is removed first; without, StorageError.
        """
        ...

    def write(self, job: Job, batch: int, columns: Mapping[str, AnyArray]) -> None:
        """Write a batch: numpy columns of one length named as `COLUMNS`."""
        ...

    def finish(self, job: Job) -> None:
        """Complete the output when every batch is written; does nothing to a complete one."""
        ...


@dataclass(frozen=True)
class Written:
    """How many users were asked for, and of the batches how many there were before."""

    n_users: int
    n_batches: int
    n_before: int


def write_all(
    model: FittedModel, sink: Sink, job: Job, *, replace: bool = False, threads: int = 1
) -> Written:
    """Write the lists of every user of `model`, known to training or not, to `sink`.

    A job that was interrupted goes on where it stopped, so that every user is there exactly once.
    Raises StorageError for an output that cannot be written or holds something else.
    """
    if job.k < 1 or job.batch_size < 1:
        raise ConfigError("recommend needs -k and --batch-size of at least 1")
    ids = model.train.users.ids
    before = sink.begin(job, replace=replace)
    missing = [batch for batch in range(job.n_batches) if batch not in before]
    for batch in progress(missing, "recommend to all", total=len(missing)):
        start = batch * job.batch_size
        asked = ids[start : start + job.batch_size]
        sink.write(job, batch, _columns(model, asked, job, threads))
    sink.finish(job)
    return Written(job.n_users, job.n_batches, len(before))


def _columns(model: FittedModel, asked: Any, job: Job, threads: int) -> dict[str, AnyArray]:
    lists = model.lists(asked, job.k, exclude_seen=job.exclude_seen, threads=threads)
    rows, ranks = np.nonzero(lists.items >= 0)
    at = lists.items[rows, ranks]
    return {
        "user_id": _ids(model.train.users.ids, lists.user_ids)[rows],
        "item_id": _ids(model.train.items.ids, model.train.items.to_ids(at.tolist())),
        "rank": (ranks + 1).astype(np.int32),
        "score": lists.scores[rows, ranks],
        "source": np.array(lists.sources, dtype=str)[rows],
    }


def _ids(known: Any, chosen: list[Any]) -> AnyArray:
    """Some ids as a column, of whole numbers when all of the dataset are, else of text."""
    whole = all(isinstance(id_, int) and -(2**63) <= id_ < 2**63 for id_ in known)
    return (
        np.array(chosen, np.int64) if whole else np.array([str(id_) for id_ in chosen], dtype=str)
    )
