"""The four layouts in which MovieLens data comes, read into one kind of table."""

from __future__ import annotations

import csv
import io
import re
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import IO
from zipfile import BadZipFile

import numpy as np

from recexp.arrays import AnyArray
from recexp.data.arrow import to_numpy
from recexp.data.files import Files
from recexp.errors import DataError

Ratings = tuple[AnyArray, AnyArray, AnyArray, AnyArray]
"""user id, item id, rating, seconds"""


@dataclass(frozen=True)
class Item:
    """A movie: its title with the year, as published, its genres, and users' tags, each as often as
    it was given."""

    title: str = ""
    genres: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()

    @property
    def year(self) -> str:
        """The year at the end of the title, or empty."""
        match = re.search(r"\((\d{4})(?:[-–]\d{0,4})?\)$", self.title)
        return match[1] if match else ""


@dataclass(frozen=True)
class User:
    """A person; age is that of the data, in 1M the lower end of a bracket (1: under 18)."""

    age: str = ""
    gender: str = ""
    occupation: str = ""
    zip: str = ""


@dataclass(frozen=True)
class Tables:
    """What a release says, by the ids it uses."""

    ratings: Ratings
    items: dict[int, Item]
    users: dict[int, User] = field(default_factory=dict)


def read_tables(files: Files) -> Tables:
    """Return the tables of a release, whose layout shows in the name of its ratings file.

    Raises DataError when there is no such file, and for content that does not parse.
    """
    layout = layout_of(files)
    try:
        return LAYOUTS[layout](files)
    except (OSError, EOFError, ValueError, RuntimeError, BadZipFile, zlib.error) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{files.path} is damaged, or not as MovieLens has it: {reason}") from error


def layout_of(files: Files) -> str:
    """Return the name of the ratings file, by which the layouts differ."""
    for name in LAYOUTS:
        if name in files:
            return name
    raise DataError(
        f"{files.path} holds no MovieLens data (expected one of {', '.join(LAYOUTS)} "
        "at its top or one folder down)"
    )


def _read_100k(files: Files) -> Tables:
    """ML-100K: `u.data` tab separated; `u.item` and `u.user` with bars, genres as 19 flags."""
    genres = [line.split("|")[0] for line in files.lines("u.genre")]
    items = {}
    for line in files.lines("u.item"):
        number, title, *_, flags = line.split("|", 5)
        named = tuple(g for g, flag in zip(genres, flags.split("|"), strict=True) if flag == "1")
        items[int(number)] = _item(title, named)
    users = {}
    for line in files.lines("u.user"):
        number, age, gender, occupation, zip_code = line.split("|")
        users[int(number)] = User(age, gender, occupation, zip_code)
    with files.open("u.data") as file:
        return Tables(_ratings(file, "\t"), items, users)


def _read_atomic(files: Files) -> Tables:
    """ML-100K as RecBole keeps it: tab separated with typed headers, year apart from the title."""
    items = {}
    for line in files.lines("ml-100k.item")[1:]:
        number, title, year, genres = line.split("\t")
        whole = f"{title} ({year})" if year.isdigit() else title
        items[int(number)] = _item(whole, tuple(genres.split()))
    users = {}
    for line in files.lines("ml-100k.user")[1:]:
        number, age, gender, occupation, zip_code = line.split("\t")
        users[int(number)] = User(age, gender, occupation, zip_code)
    with files.open("ml-100k.inter") as file:
        header = "user_id:token\titem_id:token\trating:float\ttimestamp:float"
        return Tables(_ratings(file, "\t", header), items, users)


def _read_dat(files: Files) -> Tables:
    """ML-1M and ML-10M: `::` between fields, which titles may contain; 10M has no users."""
    items = {}
    lines = files.lines("tags.dat") if "tags.dat" in files else ()
    parts = (line.split("::", 2) for line in lines)
    tags = _by_movie((number, rest.rsplit("::", 1)[0]) for _, number, rest in parts)
    for line in files.lines("movies.dat"):
        number, rest = line.split("::", 1)
        title, genres = rest.rsplit("::", 1)
        items[int(number)] = _item(title, tuple(genres.split("|")), tags[int(number)])
    users = {}
    for line in files.lines("users.dat") if "users.dat" in files else ():
        number, gender, age, occupation, zip_code = line.split("::")
        users[int(number)] = User(age, gender, OCCUPATIONS[int(occupation)], zip_code)
    content = files.read("ratings.dat").replace(b"::", b"\t")
    return Tables(_ratings(io.BytesIO(content), "\t"), items, users)


def _read_csv(files: Files) -> Tables:
    """ML-latest-small, 20M, 25M, 32M: comma separated with headers, no users."""
    lines = files.lines("tags.csv") if "tags.csv" in files else []
    tags = _by_movie((number, tag) for _, number, tag, _ in csv.reader(lines[1:]))
    items = {
        int(number): _item(title, tuple(genres.split("|")), tags[int(number)])
        for number, title, genres in csv.reader(files.lines("movies.csv")[1:])
    }
    with files.open("ratings.csv") as file:
        return Tables(_ratings(file, ",", "userId,movieId,rating,timestamp"), items)


LAYOUTS: dict[str, Callable[[Files], Tables]] = {
    "u.data": _read_100k,
    "ml-100k.inter": _read_atomic,
    "ratings.dat": _read_dat,
    "ratings.csv": _read_csv,
}
NAMES = {
    "u.data": ("u.data", "u.item", "u.genre", "u.user"),
    "ml-100k.inter": ("ml-100k.inter", "ml-100k.item", "ml-100k.user"),
    "ratings.dat": ("ratings.dat", "movies.dat", "users.dat", "tags.dat"),
    "ratings.csv": ("ratings.csv", "movies.csv", "tags.csv"),
}
"""What is read of each layout."""
OCCUPATIONS = (
    "other", "educator", "artist", "clerical", "college student", "customer service", "doctor",
    "executive", "farmer", "homemaker", "K-12 student", "lawyer", "programmer", "retired", "sales",
    "scientist", "self-employed", "technician", "tradesman", "unemployed", "writer",
)  # fmt: skip
"""ML-1M gives their numbers."""
UNKNOWN = {"unknown", "unkonwn", "(no genres listed)", ""}
"""How the sources write that they do not know (RecBole misspells it)."""


def _by_movie(given: Iterable[tuple[str, str]]) -> defaultdict[int, list[str]]:
    tags: defaultdict[int, list[str]] = defaultdict(list)
    for number, tag in given:
        tags[int(number)].append(tag.strip())
    return tags


def _item(title: str, genres: tuple[str, ...], tags: Iterable[str] = ()) -> Item:
    """One form for what two sources of the same release write differently."""
    title = re.sub(r"(\(\d{4}\)) \(V\)$", r"\1", title.strip())
    known = tuple(genre for genre in genres if genre not in UNKNOWN)
    return Item("" if title in UNKNOWN else title, known, tuple(tags))


def _ratings(file: IO[bytes], delimiter: str, header: str = "") -> Ratings:
    from pyarrow import csv as arrow
    from pyarrow import float32, int32, int64

    if header:
        found = file.readline().decode("utf-8-sig").strip()
        if found.lower() != header.lower():
            raise ValueError(f"its ratings begin with {found[:80]!r}, expected {header!r}")
    types = {"user": int32(), "item": int32(), "rating": float32(), "timestamp": int64()}
    table = arrow.read_csv(
        file,
        read_options=arrow.ReadOptions(column_names=list(types), block_size=16 << 20),
        parse_options=arrow.ParseOptions(delimiter=delimiter, quote_char=False),
        convert_options=arrow.ConvertOptions(column_types=types),
    )
    if any(column.null_count for column in table.columns):
        raise ValueError("a rating lacks a value")
    user, item, rating, timestamp = map(to_numpy, table.columns)
    if len(rating) and not (np.min(rating) >= 0.5 and np.max(rating) <= 5):
        raise ValueError(f"ratings span {np.min(rating)} to {np.max(rating)}, expected 0.5 to 5")
    return user, item, rating, timestamp
