"""The checkerboard is what it says."""

from __future__ import annotations

import numpy as np

from recexp.data.checkerboard import checkerboard


def test_the_checkerboard_is_what_it_says() -> None:
    board = checkerboard()
    rows, liked = board.dataset.interactions, board.liked
    np.testing.assert_array_equal(rows.value >= 4, liked[rows.user_idx, rows.item_idx])
    assert rows.user_counts()[-1] == rows.item_counts()[-1] == 0
    assert not board.missing[rows.user_idx, rows.item_idx].any()
    assert board.solved(liked.astype(np.float32)) == 1.0
    assert board.solved(np.zeros(liked.shape, np.float32)) == 0.5
    assert checkerboard(ratings=False).dataset.explicit is False
