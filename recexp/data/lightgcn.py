"""Lists of `user item item ...`, one line a user, as the LightGCN papers publish their splits."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from recexp.arrays import AnyArray, IntArray
from recexp.data.cleaning import id_map, repetitions
from recexp.data.coded import Coded
from recexp.data.dataset import Dataset
from recexp.data.files import file_hash
from recexp.data.ids import IdMap
from recexp.errors import DataError

log = logging.getLogger(__name__)

SIDES = ("train.txt", "test.txt")


def load_lightgcn(path: str, name: str | None = None) -> Dataset:
    """Return all interactions of a folder with `train.txt` and `test.txt`, or of one such file.

    Every line is a user and the items of this user, between spaces. There are neither ratings nor
    times. The published split of the folder is a split of its own:

        dataset=lightgcn dataset.path=gowalla split=predefined \\
            split.train=gowalla/train.txt split.test=gowalla/test.txt

    A user without items is no interaction; the facts count such lines, and the pairs that occur
    more than once. Raises DataError for files that are missing or are not such lists.
    """
    source = Path(path).expanduser()
    files = [source / side for side in SIDES] if source.is_dir() else [source]
    users: dict[str, int] = {}
    items: dict[str, int] = {}
    pairs = []
    facts: dict[str, object] = {"source": "local files", "path": path, "files": []}
    empty = 0
    for file in files:
        lines = _lines(file)
        pairs.append(_pairs(lines, users, items))
        empty += sum(len(line) == 1 for line in lines)
        about = {"file": file.name, "sha256": file_hash(file), "rows": len(pairs[-1][0])}
        facts["files"] = [*facts["files"], about]  # type: ignore[misc]
    user_codes, item_codes = (np.concatenate(column) for column in zip(*pairs, strict=True))
    if not len(user_codes):
        raise DataError(f"{source} lists no items; expected lines `user item item ...`")
    user_ids, user_idx = _id_map(users, user_codes)
    item_ids, item_idx = _id_map(items, item_codes)
    if empty:
        log.info("%s: %s users are listed without items", source.name, f"{empty:,}")
    facts |= {
        "rows_read": len(user_idx),
        "rows_dropped": {},
        "users_without_items": empty,
    }
    name = name or (source.name if source.is_dir() else source.stem)
    dataset = Dataset.from_indices(name, user_ids, user_idx, item_ids, item_idx)
    return replace(dataset, facts=facts | repetitions(dataset))


def _lines(file: Path) -> list[list[str]]:
    """The words of every line that has any."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError(
            f"{file} does not exist; set dataset.path to a folder with {' and '.join(SIDES)}, "
            "or to one such file"
        ) from None
    except UnicodeDecodeError as error:
        raise DataError(f"{file} is not UTF-8 text; expected lines `user item item ...`") from error
    except OSError as error:
        raise DataError(f"{file} cannot be read ({error.strerror})") from error
    return [words for line in text.split("\n") if (words := line.split())]


def _pairs(
    lines: Sequence[Sequence[str]], users: dict[str, int], items: dict[str, int]
) -> tuple[IntArray, IntArray]:
    """User and item codes of every pair; the maps grow by what they do not know."""
    of_line = [users.setdefault(words[0], len(users)) for words in lines]
    of_item = [items.setdefault(word, len(items)) for words in lines for word in words[1:]]
    lengths = [len(words) - 1 for words in lines]
    return np.repeat(np.array(of_line, np.int64), lengths), np.array(of_item, np.int64)


def _id_map(codes: dict[str, int], rows: IntArray) -> tuple[IdMap, AnyArray]:
    ids = list(codes)
    return id_map(ids, Coded(ids, [(rows.astype(np.int32), None)]), np.ones(len(rows), bool))
