"""What a user did and likes, worked out when it is asked for."""

from __future__ import annotations

from typing import Any

import numpy as np

from recexp.arrays import IdxArray
from recexp.evaluation.arithmetic import ratio
from recexp.profiling.dataset import iso
from recexp.profiling.users import category_column, category_shares
from recexp.streaming.live import LiveModel

N_TASTES = 12
N_HISTORY = 50


class Tastes:
    """The profiles of the users of a live model."""

    def __init__(self, live: LiveModel) -> None:
        self._live = live
        train = live.model.train
        self._column = category_column(train)
        if self._column is not None:
            self._shares, self._names = category_shares(train, self._column)

    def of(self, user: int) -> dict[str, Any]:
        """Return what `GET /users/{user}/profile` says of the user at idx `user`, without titles.

        `history` has idx for items.
        """
        histories = self._live.histories
        given = histories.history(user, len(histories.items))
        explicit = self._live.model.train.explicit
        deeds = self._deeds(user)
        times = [one["at"] for one in deeds if one["at"] is not None]
        return {
            "user": histories.users.ids[user],
            "n_interactions": int(given.nnz),
            "n_events": len(histories.deeds(user)),
            "mean_value": float(given.data.mean(dtype=np.float64))
            if explicit and given.nnz
            else None,
            "first": _iso(min(times)) if times else None,
            "last": _iso(max(times)) if times else None,
            "tastes": self._tastes(given.indices, given.data, explicit=explicit),
            "history": [
                {key: one[key] for key in ("item", "value", "kind")} | {"time": _iso(one["at"])}
                for one in deeds[:N_HISTORY]
            ],
        }

    def _deeds(self, user: int) -> list[dict[str, Any]]:
        """What the user did, latest first; without times, as it came."""
        histories, train = self._live.histories, self._live.model.train
        rows, it = histories.trained(user), train.interactions
        times = [None] * (rows.stop - rows.start)
        if it.timestamp is not None:
            times = it.timestamp[rows].tolist()
        trained = [
            {"item": item, "kind": "training", "value": value if train.explicit else None, "at": at}
            for item, value, at in zip(
                it.item_idx[rows].tolist(), it.value[rows].tolist(), times, strict=True
            )
        ]
        since = [
            {
                "item": one.item,
                "kind": one.kind,
                "value": one.value if one.kind == "rating" else None,
                "at": one.timestamp,
            }
            for one in histories.deeds(user)
        ]
        if it.timestamp is None:
            return since[::-1] + trained
        return sorted(trained + since, key=lambda one: one["at"])[::-1]

    def _tastes(self, items: IdxArray, values: Any, *, explicit: bool) -> list[dict[str, Any]]:
        if self._column is None:
            return []
        known = items < self._shares.shape[0]
        of_items = self._shares[items[known]].astype(np.float64)
        weight = np.asarray(of_items.sum(axis=0)).ravel()
        n = np.bincount(of_items.indices, minlength=len(weight))
        share = weight / weight.sum() if weight.sum() else weight
        mean = ratio(of_items.T @ values[known], weight, np.nan)
        best = np.argsort(-share, kind="stable")[:N_TASTES]
        return [
            {
                "column": self._column,
                "value": self._names[at],
                "n": int(n[at]),
                "share": float(share[at]),
                "mean_value": float(mean[at]) if explicit else None,
            }
            for at in best.tolist()
            if n[at]
        ]


def _iso(seconds: int | None) -> str | None:
    return None if seconds is None else iso(seconds).replace(" ", "T") + "Z"
