"""What a split is."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from recexp.arrays import Sparse
from recexp.data.dataset import Dataset, fingerprint
from recexp.data.interactions import Interactions


@dataclass(frozen=True, eq=False)
class Split:
    """The two sides of an experiment, over the same users and items.

    Attributes:
        train: the dataset with the training interactions only; all an algorithm ever sees.
        test: the interactions that are predicted.
        history: interactions given at test time of users that training has not seen (fold-in),
            or None. They are neither trained on nor predicted.
        facts: what the protocol did: its name, cutoffs in time, sizes; plain JSON values.
    """

    train: Dataset
    test: Interactions
    history: Interactions | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    def seen(self) -> Sparse:
        """Return what each user has seen before the test: csr of ones (n_users, n_items)."""
        seen = self.train.interactions.csr("ones")
        if self.history is not None:
            seen = seen.maximum(self.history.csr("ones"))
        return seen

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the content of both sides (and of the history), not of options."""
        digest = hashlib.sha256()
        for side in (self.train.interactions, self.test, self.history):
            digest.update(b"none" if side is None else fingerprint(side).encode())
        return digest.hexdigest()
