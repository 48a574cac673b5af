"""Who is measured, and which places of a list are hits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from recexp.errors import DataError
from recexp.evaluation import judge as judge_module
from recexp.evaluation.catalogue import Catalogue
from recexp.evaluation.judge import Judged, evaluated_users, holdout, judge
from recexp.evaluation.topk import TopK
from recexp.splits.base import Split

MakeSplit = Callable[..., Split]
MakeLists = Callable[..., TopK]


def judged_of(lists: TopK, split: Split, k: int) -> Judged:
    return judge(lists, holdout(split), Catalogue(split, np.ones(split.train.n_items, bool)), k)


def test_only_users_with_a_relevant_test_item_are_evaluated(make_split: MakeSplit) -> None:
    split = make_split([(0, 0, 5)], [(0, 1, 3.9), (1, 1, 4), (3, 0, 5)], 4, 2)
    assert evaluated_users(split).tolist() == [1, 3]
    assert holdout(split).users.tolist() == [1, 3]
    assert evaluated_users(split, threshold=3).tolist() == [0, 1, 3]
    assert holdout(split, threshold=3).users.tolist() == [0, 1, 3]


def test_without_ratings_every_test_item_is_relevant(make_split: MakeSplit) -> None:
    split = make_split([], [(0, 1, 1), (1, 1, 0.5)], 2, 2, scale=None)
    assert holdout(split, threshold=4).n_relevant.tolist() == [1, 1]
    assert evaluated_users(split, threshold=4).tolist() == [0, 1]


def test_repeated_test_rows_count_once_at_their_highest_value(make_split: MakeSplit) -> None:
    held = holdout(make_split([], [(0, 1, 3), (0, 1, 5), (0, 0, 4), (0, 1, 2)], 1, 2))
    assert held.n_relevant.tolist() == [2]
    assert held.values.tolist() == [4, 5]


def test_relevant_items_seen_in_training_stay_relevant(make_split: MakeSplit) -> None:
    assert holdout(make_split([(0, 1, 5)], [(0, 1, 5), (0, 0, 5)], 1, 2)).n_relevant[0] == 2


def test_nobody_to_evaluate_is_an_error(make_split: MakeSplit) -> None:
    with pytest.raises(DataError, match="no user has a relevant test item"):
        holdout(make_split([], [(0, 1, 3)], 1, 2))
    with pytest.raises(DataError, match="0 test interactions"):
        holdout(make_split([], [], 1, 2))


def test_hits_and_gains_stand_at_their_ranks(make_split: MakeSplit, make_lists: MakeLists) -> None:
    split = make_split([], [(1, 4, 5), (1, 0, 4), (1, 3, 2), (2, 0, 5)], 3, 5)
    judged = judged_of(make_lists({1: [3, 4, 1, 0], 2: [2]}, 4), split, 4)
    assert judged.hits.astype(int).tolist() == [[0, 1, 0, 1], [0, 0, 0, 0]]
    assert judged.gains.tolist() == [[2, 5, 0, 4], [0, 0, 0, 0]]
    assert judged.n_hits.tolist() == [2, 0]
    assert judged.hit_counts.tolist() == [1, 2]
    assert judged.at(3).hits.astype(int).tolist() == [[0, 1, 0], [0, 0, 0]]


def test_a_user_without_a_list_misses_and_lists_of_others_are_left_out(
    make_split: MakeSplit, make_lists: MakeLists
) -> None:
    split = make_split([], [(0, 1, 5), (2, 1, 5)], 4, 2)
    judged = judged_of(make_lists({1: [1], 2: [0, 1], 3: [1]}, 2), split, 2)
    assert judged.users.tolist() == [0, 2]
    assert judged.hits.astype(int).tolist() == [[0, 0], [0, 1]]


def test_blocks_of_users_do_not_change_the_hits(
    make_split: MakeSplit, make_lists: MakeLists, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    test = [(int(u), int(i), 5.0) for u, i in np.argwhere(rng.random((30, 20)) < 0.2)]
    lists = make_lists({u: rng.permutation(20)[: u % 8].tolist() for u in range(30)}, 7)
    split = make_split([], test, 30, 20)
    whole = judged_of(lists, split, 7).hits
    relevant = {(u, i) for u, i, _ in test}
    users = holdout(split).users
    expected = [[(u, i) in relevant for i in lists.items[u]] for u in users.tolist()]
    assert whole.tolist() == expected
    for cells in (1, 21 * 4):
        monkeypatch.setattr(judge_module, "_BLOCK_CELLS", cells)
        np.testing.assert_array_equal(judged_of(lists, split, 7).hits, whole)


def test_lists_that_cannot_be_are_refused(make_split: MakeSplit, make_lists: MakeLists) -> None:
    split = make_split([], [(0, 1, 5)], 2, 2)
    with pytest.raises(DataError, match="twice"):
        judged_of(make_lists({0: [1, 1]}, 2), split, 2)
    with pytest.raises(DataError, match=r"span -1\.\.2"):
        judged_of(make_lists({0: [2]}, 2), split, 2)
    lists = make_lists({0: [1], 1: [0]}, 1)
    upside_down = TopK(lists.users[::-1], lists.items, lists.scores, lists.tied_boundary)
    with pytest.raises(DataError, match="ascend"):
        judged_of(upside_down, split, 1)
