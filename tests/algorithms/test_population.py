"""A user from a history: a Newton step on the posterior, written out."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array

from recexp.algorithms.population import Population

N_USERS, N_ITEMS, D = 40, 25, 3
RNG = np.random.default_rng(5)
USERS = RNG.normal(size=(N_USERS, D)) @ np.diag([2.0, 1.0, 0.5]) + [1.0, 0.0, -1.0]
ITEMS = RNG.normal(size=(N_ITEMS, D))
POSITIVES = csr_array((RNG.random((N_USERS, N_ITEMS)) < 0.3).astype(float))
TRAINED = np.arange(N_USERS) < 35


@pytest.fixture(scope="module")
def population() -> Population:
    return Population.of(USERS, ITEMS, POSITIVES, TRAINED)


def test_it_is_one_newton_step_from_the_mean_user(population: Population) -> None:
    history = [2, 3, 11, 19]
    prior = np.linalg.inv(np.cov(USERS[TRAINED].T, bias=True))
    share = POSITIVES.sum(axis=0) / POSITIVES.sum()
    expected_item = sum(p * y for p, y in zip(share, ITEMS, strict=True))
    gradient = sum(ITEMS[i] - expected_item for i in history)
    curvature = prior.copy()
    for p, y in zip(share, ITEMS, strict=True):
        curvature += len(history) * p * np.outer(y - expected_item, y - expected_item)
    x = USERS[TRAINED].mean(axis=0) + np.linalg.inv(curvature) @ gradient
    row = csr_array((np.ones(4, np.float32), ([0] * 4, history)), shape=(1, N_ITEMS))
    np.testing.assert_allclose(population.vectors(row, ITEMS), [x], rtol=1e-8)


def test_nobody_in_particular_is_the_mean_user(population: Population) -> None:
    nothing = csr_array((2, N_ITEMS), dtype=np.float32)
    expected = [USERS[TRAINED].mean(axis=0)] * 2
    np.testing.assert_allclose(population.vectors(nothing, ITEMS), expected)


def test_users_who_do_not_differ_are_no_obstacle() -> None:
    alike = Population.of(np.ones((N_USERS, D)), ITEMS, POSITIVES, TRAINED)
    np.testing.assert_allclose(alike.vectors(POSITIVES[:3], ITEMS), np.ones((3, D)))


def test_the_state_gives_the_same_vectors(population: Population) -> None:
    again = Population.restored(population.state())
    np.testing.assert_array_equal(
        again.vectors(POSITIVES, ITEMS), population.vectors(POSITIVES, ITEMS)
    )
