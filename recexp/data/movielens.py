"""MovieLens, from wherever it can be had."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from recexp.arrays import FloatArray
from recexp.data.cache import cache_folder, require_writable
from recexp.data.dataset import Dataset
from recexp.data.download import fetch, fetch_wheel
from recexp.data.features import binned, multi_hot, one_hot, stack
from recexp.data.files import Files, file_hash
from recexp.data.movielens_files import NAMES, Item, Tables, User, layout_of, read_tables
from recexp.data.snapshot import FORMAT, load_snapshot, save_snapshot
from recexp.errors import ConfigError, DataError, StorageError, did_you_mean

log = logging.getLogger(__name__)

DEFAULT = "100k"
GROUPLENS = "https://files.grouplens.org/datasets/movielens"
LICENCE = (
    "GroupLens terms: for research; not for commercial use, and 100K and 1M not to be passed on, "
    "without permission (see the README in the archive)"
)
CITATION = (
    "F. Maxwell Harper and Joseph A. Konstan. 2015. The MovieLens Datasets: History and Context. "
    "ACM Transactions on Interactive Intelligent Systems 5, 4: 19. doi:10.1145/2827872"
)
YEARS = (1930, 1940, 1950, 1960, 1970, 1980, 1985, 1990, 1995, 2000, 2005, 2010, 2015, 2020)
AGES = (18, 25, 35, 45, 50, 56)
"""The brackets of ML-1M, so that 100K and 1M have the same features."""


@dataclass(frozen=True)
class Release:
    """A MovieLens release: its archive `ml-<variant>.zip` and what is in it.

    `layouts` are names of ratings files, `n_ratings` their rows (latest-small: in 2018);
    `known_hash` is None where it is only published beside the archive.
    """

    layouts: tuple[str, ...]
    n_ratings: int
    known_hash: str | None = None
    scale: tuple[float, float] = (0.5, 5.0)


WHOLE_STARS = (1.0, 5.0)
RELEASES = {
    "100k": Release(
        ("u.data", "ml-100k.inter"),
        100_000,
        "sha256:50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229",
        WHOLE_STARS,
    ),
    "latest-small": Release(("ratings.csv",), 100_836),
    "1m": Release(
        ("ratings.dat",),
        1_000_209,
        "sha256:a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20",
        WHOLE_STARS,
    ),
    "10m": Release(("ratings.dat",), 10_000_054, "md5:ce571fd55effeba0271552578f2648bd"),
    "20m": Release(("ratings.csv",), 20_000_263),
    "25m": Release(("ratings.csv",), 25_000_095, "md5:6b51fb2759a8657d3bfcbfc42b592ada"),
    "32m": Release(("ratings.csv",), 32_000_204),
}
WHEEL = "recbole-1.2.1-py3-none-any.whl"
WHEEL_SHA256 = "9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407"
WHEEL_FOLDER = "recbole/dataset_example/ml-100k"


@dataclass(frozen=True)
class _Source:
    """A file that holds a release: where it comes from, and where the cache keeps it."""

    file: Path
    facts: dict[str, Any]
    known_hash: str | None
    fetch: Callable[[], None]


def load_movielens(
    variant: str = DEFAULT, path: str | None = None, base_url: str = GROUPLENS
) -> Dataset:
    """Return a MovieLens release as published, with titles, genres, years, tags and demographics.

    Args:
        variant: 100k, latest-small, 1m, 10m, 20m, 25m or 32m.
        path: an archive or its extracted folder, of any variant; nothing is downloaded then.
        base_url: where the archives are; a mirror is as good, checksums are checked.

    Without `path` these are tried in order: the cache (`RECEXP_CACHE`, else the platform's),
    the archive at `base_url`, and for 100k the copy inside a wheel of the Python package index.
    What was parsed is kept in the cache as well, so that the next run starts at once. The same
    dataset (fingerprint) comes out of every source of a release.

    Raises ConfigError for an unknown variant, DataError when no source has it (the message lists
    what was tried) or the files are damaged, StorageError when the cache cannot be written.
    """
    if variant not in RELEASES:
        raise ConfigError(f"dataset.variant={variant} is unknown{did_you_mean(variant, RELEASES)}")
    if path is None:
        sources = _sources(variant, base_url)
        source = _cached(sources) or _fetched(sources, variant, base_url)
        facts, files = source.facts, Files(source.file, WHEEL_FOLDER)
    else:
        files = Files(Path(path).expanduser(), WHEEL_FOLDER)
        facts = {"source": "local files", "path": path}
    layout = layout_of(files)
    sha256 = files.sha256(NAMES[layout])
    facts["sha256"] = sha256
    snapshot = cache_folder() / "snapshots" / f"movielens-{variant}-{sha256[:32]}-v{FORMAT}"
    try:
        dataset = load_snapshot(snapshot)
    except (OSError, DataError):
        tables = read_tables(files)
        held = _held(variant, layout, tables)
        if variant not in (held, DEFAULT):
            raise DataError(
                f"{path} holds MovieLens {held}, not dataset.variant={variant}"
            ) from None
        dataset = _dataset(held, tables)
        try:
            save_snapshot(dataset, snapshot)
        except StorageError as error:
            log.warning("%s", error)
            facts["snapshot"] = f"not kept: {error}"
    return replace(dataset, facts={**dataset.facts, **facts})


def _sources(variant: str, base_url: str) -> list[_Source]:
    folder = cache_folder() / "movielens"
    url = f"{base_url}/ml-{variant}.zip"
    archive, sums = folder / f"ml-{variant}.zip", folder / f"ml-{variant}.zip.md5"
    known_hash = RELEASES[variant].known_hash

    def fetch_archive() -> None:
        expected = known_hash
        if expected is None:
            fetch(f"{url}.md5", sums, None, max_bytes=4096)
            expected = _published_hash(sums)
        if expected is None:
            raise DataError(f"{url}.md5 holds no MD5 to check the archive by")
        fetch(url, archive, expected)

    facts = {"source": "GroupLens archive", "url": url}
    sources = [_Source(archive, facts, known_hash or _published_hash(sums), fetch_archive)]
    if variant == "100k":
        wheel = folder / WHEEL
        facts = {
            "source": f"the copy inside {WHEEL}",
            "url": "https://pypi.org/project/recbole/1.2.1",
        }
        sources.append(
            _Source(
                wheel,
                facts,
                f"sha256:{WHEEL_SHA256}",
                lambda: fetch_wheel("recbole==1.2.1", WHEEL, WHEEL_SHA256, wheel),
            )
        )
    return sources


def _cached(sources: Sequence[_Source]) -> _Source | None:
    """The first source whose file is in the cache and has its checksum."""
    for source in sources:
        if source.known_hash is not None and source.file.is_file():
            algorithm, expected = source.known_hash.split(":")
            if file_hash(source.file, algorithm) == expected:
                return source
            log.warning("%s is damaged (its checksum differs); fetching it again", source.file)
    return None


def _fetched(sources: Sequence[_Source], variant: str, base_url: str) -> _Source:
    """The first source whose file can be fetched into the cache."""
    require_writable(sources[0].file.parent)
    tried = [f"the cache {cache_folder()} (nothing there)"]
    for source in sources:
        try:
            source.fetch()
        except DataError as error:
            tried.append(str(error))
            log.info("%s", error)
        else:
            log.info("MovieLens %s: %s, kept as %s", variant, source.facts["source"], source.file)
            return source
    raise DataError(
        f"MovieLens {variant} cannot be had; tried {'; '.join(tried)}. Fetch "
        f"{base_url}/ml-{variant}.zip on another machine and set dataset.path to the file or to "
        "the folder extracted from it, or use dataset=synthetic"
    )


def _published_hash(sums: Path) -> str | None:
    """The MD5 that a `.zip.md5` file in the cache states; None without such a file."""
    if not sums.is_file():
        return None
    found = re.search(r"\b[0-9a-f]{32}\b", sums.read_text("latin-1").lower())
    return f"md5:{found[0]}" if found else None


def _held(variant: str, layout: str, tables: Tables) -> str:
    """The variant that was read: by its number of ratings, else by its files and what was asked."""
    alike = [name for name, release in RELEASES.items() if layout in release.layouts]
    for name in alike:
        if len(tables.ratings[0]) == RELEASES[name].n_ratings:
            return name
    if variant in alike:
        return variant
    return "10m" if layout == "ratings.dat" and not tables.users else alike[0]


def _dataset(variant: str, tables: Tables) -> Dataset:
    release, n_ratings = RELEASES[variant], len(tables.ratings[0])
    facts = {"licence": LICENCE, "citation": CITATION}
    if n_ratings != release.n_ratings:
        facts["differs"] = f"{n_ratings:,} ratings; published were {release.n_ratings:,}"
        log.warning("MovieLens %s differs: %s", variant, facts["differs"])
    dataset = Dataset.from_columns(
        f"movielens-{variant}", *tables.ratings, scale=release.scale, facts=facts
    )
    items = [tables.items.get(id_, Item()) for id_ in dataset.items.ids]
    years = [item.year for item in items]
    tags = tuple("|".join(item.tags) for item in items)
    if any(tags):
        facts["tags"] = "given at any time, also after the cutoff of a split"
    users = [tables.users.get(id_, User()) for id_ in dataset.users.ids] if tables.users else []
    columns = [name for name in ("age", "gender", "occupation", "zip") if users]
    return replace(
        dataset,
        item_columns={
            "title": tuple(item.title for item in items),
            "genres": tuple("|".join(item.genres) for item in items),
            "year": tuple(years),
            **({"tags": tags} if any(tags) else {}),
        },
        item_features=stack(
            multi_hot([item.genres for item in items], "genre"),
            binned(_numbers(years), YEARS, "year"),
        ),
        user_columns={name: tuple(getattr(user, name) for user in users) for name in columns},
        user_features=stack(
            binned(_numbers([user.age for user in users]), AGES, "age"),
            one_hot([user.gender for user in users], "gender"),
            one_hot([user.occupation for user in users], "occupation"),
        )
        if users
        else None,
    )


def _numbers(texts: Sequence[str]) -> FloatArray:
    return np.array([float(text) if text.isdigit() else np.nan for text in texts])
