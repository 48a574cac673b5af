"""MovieLens from every source and in every layout."""

from __future__ import annotations

import logging
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from recexp.data import movielens as module
from recexp.data.dataset import Dataset
from recexp.data.movielens import load_movielens
from recexp.errors import ConfigError, DataError, StorageError

LAYOUTS = {
    "100k": {
        "u.data": b"2\t1\t5\t881250949\n1\t1\t3\t881250950\n1\t3\t1\t881250951\n",
        "u.genre": b"unknown|0\nAction|1\nChildren's|2\n\n",
        "u.item": (
            "1|Ang\xe9lique (1964)|01-Jan-1990||http://x|0|1|1\n"
            "2|Never Rated (1990)|01-Jan-1990||http://x|0|1|0\n"
            "3|unknown||||1|0|0\n"
        ).encode("latin-1"),
        "u.user": b"1|24|M|technician|85711\n2|53|F|other|94043\n",
    },
    "1m": {
        "ratings.dat": b"2::1::5::978300760\n1::1::3::978300761\n1::3::1::978300762\n",
        "movies.dat": (
            "1::Ang\xe9lique :: The Film (1964)::Action|Children's\n3::Plain::Drama\n"
        ).encode("latin-1"),
        "users.dat": b"1::F::1::10::48067\n2::M::56::16::70072\n",
    },
    "10m": {
        "ratings.dat": b"2::1::5::978300760\n1::1::0.5::978300761\n1::3::1::978300762\n",
        "movies.dat": "1::Angélique (1964)::Action\n3::Plain (2004)::(no genres listed)\n".encode(),
        "tags.dat": b"2::1::slow::paced::978300760\n1::1::funny::978300761\n",
    },
    "latest-small": {
        "ratings.csv": b"userId,movieId,rating,timestamp\n2,1,5.0,1\n1,1,0.5,2\n1,3,1.0,3\n",
        "movies.csv": (
            'movieId,title,genres\n1,"Angélique, or ""Her"" (1964)",Action|IMAX\n'
            "3,Series (2006–2007),(no genres listed)\n"
        ).encode(),
        "tags.csv": b'userId,movieId,tag,timestamp\n2,1,"slow, sad",9\n1,1,funny,9\n2,1,funny,9\n',
    },
}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache for each test."""
    monkeypatch.setenv("RECEXP_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def release(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a folder with the three ratings of a variant."""

    def write(variant: str) -> Path:
        folder = tmp_path / f"release-{variant}"
        folder.mkdir()
        for name, content in LAYOUTS[variant].items():
            (folder / name).write_bytes(content)
        return folder

    return write


def zipped(folder: Path, inner: str = "ml") -> Path:
    archive = folder.with_suffix(".zip")
    with zipfile.ZipFile(archive, "w") as file:
        for path in folder.iterdir():
            file.write(path, f"{inner}/{path.name}")
    return archive


@pytest.mark.parametrize("variant", LAYOUTS)
def test_each_layout_gives_its_ratings(variant: str, release: Callable[[str], Path]) -> None:
    dataset = load_movielens(variant, str(release(variant)))
    half = variant in ("10m", "latest-small")
    assert dataset.name == f"movielens-{variant}"
    assert list(dataset.users.ids) == [1, 2]
    assert list(dataset.items.ids) == [1, 3]
    assert dataset.interactions.user_idx.tolist() == [0, 0, 1]
    assert dataset.interactions.item_idx.tolist() == [0, 1, 0]
    assert dataset.interactions.value.tolist() == [0.5 if half else 3, 1, 5]
    assert dataset.scale == ((0.5, 5.0) if half else (1.0, 5.0))
    assert dataset.relevance_threshold == 4.0


def test_the_times_are_those_of_the_source(release: Callable[[str], Path]) -> None:
    dataset = load_movielens(path=str(release("100k")))
    assert dataset.interactions.timestamp is not None
    assert dataset.interactions.timestamp.tolist() == [881250950, 881250951, 881250949]


@pytest.mark.parametrize(
    ("variant", "tags"),
    [("10m", ("slow::paced|funny", "")), ("latest-small", ("slow, sad|funny|funny", ""))],
)
def test_tags_come_as_often_as_they_were_given(
    variant: str, tags: tuple[str, ...], release: Callable[[str], Path]
) -> None:
    folder = release(variant)
    dataset = load_movielens(variant, str(folder))
    assert dataset.item_columns["tags"] == tags
    assert "tags" in dataset.facts
    next(folder.glob("tags.*")).unlink()
    assert "tags" not in load_movielens(variant, str(folder)).item_columns


@pytest.mark.parametrize(
    ("variant", "titles", "genres", "years"),
    [
        ("100k", ("Angélique (1964)", ""), ("Action|Children's", ""), ("1964", "")),
        (
            "1m",
            ("Angélique :: The Film (1964)", "Plain"),
            ("Action|Children's", "Drama"),
            ("1964", ""),
        ),
        ("10m", ("Angélique (1964)", "Plain (2004)"), ("Action", ""), ("1964", "2004")),
        (
            "latest-small",
            ('Angélique, or "Her" (1964)', "Series (2006–2007)"),
            ("Action|IMAX", ""),
            ("1964", "2006"),
        ),
    ],
)
def test_titles_genres_and_years_are_read(
    variant: str,
    titles: tuple[str, str],
    genres: tuple[str, str],
    years: tuple[str, str],
    release: Callable[[str], Path],
) -> None:
    dataset = load_movielens(variant, str(release(variant)))
    assert dataset.item_columns["title"] == titles
    assert dataset.item_columns["genres"] == genres
    assert dataset.item_columns["year"] == years


def test_genres_and_years_are_item_features(release: Callable[[str], Path]) -> None:
    features = load_movielens(path=str(release("100k"))).item_features
    assert features is not None
    assert features.names == ("genre=Action", "genre=Children's", "year=[1960,1970)")
    assert features.matrix.toarray().tolist() == [[1, 1, 1], [0, 0, 0]]


def test_demographics_are_user_features_in_the_same_brackets(
    release: Callable[[str], Path],
) -> None:
    k100, m1 = load_movielens(path=str(release("100k"))), load_movielens("1m", str(release("1m")))
    assert k100.user_columns["occupation"] == ("technician", "other")
    assert k100.user_features is not None
    assert k100.user_features.names[:2] == ("age=[18,25)", "age=[50,56)")
    assert m1.user_columns == {
        "age": ("1", "56"),
        "gender": ("F", "M"),
        "occupation": ("K-12 student", "self-employed"),
        "zip": ("48067", "70072"),
    }
    assert m1.user_features is not None
    assert m1.user_features.names[:2] == ("age=<18", "age=>=56")
    assert load_movielens("10m", str(release("10m"))).user_features is None


def test_an_archive_and_its_folder_are_the_same_dataset(release: Callable[[str], Path]) -> None:
    folder = release("100k")
    from_folder, from_archive = (
        load_movielens(path=str(folder)),
        load_movielens(path=str(zipped(folder))),
    )
    assert from_folder.fingerprint == from_archive.fingerprint
    assert from_folder.facts["sha256"] != from_archive.facts["sha256"]


def test_a_path_decides_the_variant_unless_one_was_asked_for(
    release: Callable[[str], Path],
) -> None:
    folder = str(release("10m"))
    assert load_movielens(path=folder).name == "movielens-10m"
    with pytest.raises(DataError, match=r"holds MovieLens 10m, not dataset\.variant=25m"):
        load_movielens("25m", folder)


def test_data_other_than_published_are_said_to_differ(
    release: Callable[[str], Path], caplog: pytest.LogCaptureFixture
) -> None:
    folder = str(release("1m"))
    with caplog.at_level(logging.WARNING):
        dataset = load_movielens("1m", folder)
    assert dataset.facts["differs"] == "3 ratings; published were 1,000,209"
    assert "published were 1,000,209" in caplog.text
    assert load_movielens("1m", folder).facts == dataset.facts  # from the snapshot as well


def test_the_snapshot_is_the_same_dataset_without_reading_the_source_again(
    release: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = str(release("1m"))
    fresh = load_movielens("1m", folder)
    monkeypatch.setattr(module, "read_tables", None)
    kept = load_movielens("1m", folder)
    assert kept.fingerprint == fresh.fingerprint
    assert kept.facts == fresh.facts


def test_a_changed_source_or_a_broken_snapshot_is_read_anew(
    release: Callable[[str], Path], cache: Path
) -> None:
    folder = release("1m")
    fresh = load_movielens("1m", str(folder))
    (snapshot,) = (cache / "snapshots").iterdir()
    file = snapshot / "interactions.parquet"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    assert load_movielens("1m", str(folder)).fingerprint == fresh.fingerprint
    (folder / "ratings.dat").write_bytes(b"2::1::4::978300760\n")
    assert len(load_movielens("1m", str(folder)).interactions) == 1


def test_without_a_writable_cache_a_path_is_read_all_the_same(
    release: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("RECEXP_CACHE", str(tmp_path / "file" / "cache"))
    dataset = load_movielens(path=str(release("100k")))
    assert len(dataset.interactions) == 3
    assert "cannot be written" in dataset.facts["snapshot"]
    with pytest.raises(StorageError, match=r"cannot be written .* set RECEXP_CACHE"):
        load_movielens()


def test_a_missing_path_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere.zip does not exist; expected a zip archive"):
        load_movielens(path=str(tmp_path / "nowhere.zip"))


def test_a_folder_without_movielens_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no MovieLens data \(expected one of u.data"):
        load_movielens(path=str(tmp_path))


def test_a_file_that_is_no_archive_is_named(tmp_path: Path) -> None:
    (tmp_path / "ml-100k.zip").write_text("<html>404</html>")
    with pytest.raises(DataError, match=r"ml-100k.zip is not a zip archive that can be read"):
        load_movielens(path=str(tmp_path / "ml-100k.zip"))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("u.data", b"1\t1\tfive\t881250949\n"),
        ("u.data", b"1\t1\t5\n"),
        ("u.data", b"1\t1\t\t881250949\n"),
        ("u.data", b"1\t1\tnan\t881250949\n"),
        ("u.data", b"1\t1\t17\t881250949\n"),
        ("u.data", b""),
        ("u.item", b"one|Title|||||\n"),
        ("u.user", b"1|24\n"),
    ],
)
def test_damaged_files_are_one_line(
    name: str, content: bytes, release: Callable[[str], Path]
) -> None:
    folder = release("100k")
    (folder / name).write_bytes(content)
    with pytest.raises(DataError, match="damaged, or not as MovieLens has it") as caught:
        load_movielens(path=str(folder))
    assert "\n" not in str(caught.value)


def test_other_peoples_ratings_csv_is_not_taken_for_movielens(
    release: Callable[[str], Path],
) -> None:
    folder = release("latest-small")
    (folder / "ratings.csv").write_bytes(b"movieId,userId,rating,timestamp\n1,2,3,4\n")
    with pytest.raises(DataError, match="its ratings begin with 'movieId,userId"):
        load_movielens("latest-small", str(folder))


def test_a_corrupted_archive_is_one_line(release: Callable[[str], Path]) -> None:
    archive = zipped(release("100k"))
    content = archive.read_bytes()
    archive.write_bytes(content.replace(b"881250949", b"881250940"))
    with pytest.raises(DataError, match=r"damaged.*CRC"):
        load_movielens(path=str(archive))
    archive.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match="not a zip archive"):
        load_movielens(path=str(archive))


def test_an_archive_writes_nothing_beside_itself(
    release: Callable[[str], Path], tmp_path: Path
) -> None:
    archive = zipped(release("100k"))
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr("../../evil.txt", "evil")
        file.writestr("../u.data", "9\t9\t1\t1\n")
    before = set(tmp_path.rglob("*"))
    dataset = load_movielens(path=str(archive))
    assert list(dataset.users.ids) == [1, 2]
    made = {path.relative_to(tmp_path).parts[0] for path in set(tmp_path.rglob("*")) - before}
    assert made == {"cache"}
    assert not (tmp_path.parent / "evil.txt").exists()


def test_a_file_that_unpacks_too_large_is_refused(
    release: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = zipped(release("100k"))
    monkeypatch.setattr("recexp.data.files.MAX_BYTES", 10)
    with pytest.raises(DataError, match=r"unpacks to \d+ bytes, at most 10"):
        load_movielens(path=str(archive))


def test_an_unknown_variant_gets_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"dataset.variant=10k is unknown; did you mean '100k'\?"):
        load_movielens("10k")


@pytest.mark.movielens
def test_movielens_100k_is_as_published(movielens: Dataset) -> None:
    assert (movielens.n_users, movielens.n_items, len(movielens.interactions)) == (
        943,
        1682,
        100000,
    )
    # u.info and the README of the release; counts by `cut -f3 u.data | sort | uniq -c`
    assert np.bincount(movielens.interactions.value.astype(int)).tolist() == [
        0, 6110, 11370, 27145, 34174, 21201,
    ]  # fmt: skip
    star_wars = movielens.items.to_idx([50])[0]
    assert movielens.item_columns["title"][star_wars] == "Star Wars (1977)"
    assert movielens.interactions.item_counts()[star_wars] == 583
    assert "differs" not in movielens.facts
    assert {"source", "licence", "citation", "sha256"} <= set(movielens.facts)


@pytest.mark.movielens
@pytest.mark.skipif("RECEXP_DATA_DIR" not in os.environ, reason="compares with files at hand")
def test_the_wheel_of_the_package_index_is_the_same_dataset(
    movielens: Dataset, cache: Path
) -> None:
    downloaded = load_movielens(base_url="http://127.0.0.1:9")
    assert downloaded.fingerprint == movielens.fingerprint
    assert "recbole" in downloaded.facts["source"]
    assert sorted(path.name for path in (cache / "movielens").iterdir()) == [module.WHEEL]
