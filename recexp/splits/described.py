"""A protocol whose users and items are described: by features before it, by histories after it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from recexp.data.dataset import Dataset
from recexp.splits.base import Protocol, Split


@dataclass(frozen=True)
class Described:
    """A protocol of its own, so that whoever splits, splits what is described.

    Attributes:
        protocol: the split itself.
        features: steps that make side features of the dataset; they know no interaction.
        profiles: describes the users of a split from its training side. Of a part that is carved
            out of training (validation) it makes them anew, from what is left.
    """

    protocol: Protocol
    features: Sequence[Callable[[Dataset], Dataset]] = ()
    profiles: Callable[[Split], Split] | None = None

    def __call__(self, dataset: Dataset, rng: np.random.Generator) -> Split:
        for step in self.features:
            dataset = step(dataset)
        split = self.protocol(dataset, rng)
        return split if self.profiles is None else self.profiles(split)
