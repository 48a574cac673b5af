"""Text files as people have them, dirt included."""

from __future__ import annotations

import gzip
import logging
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recexp.data.readers import load_csv
from recexp.errors import ConfigError, DataError

Write = Callable[..., str]
GOOD = "user,item,rating,timestamp\nu1,i1,4,1000000000\nu1,i2,2,1000000001\nu2,i1,5,1000000002\n"


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(content: str | bytes, name: str = "ratings.csv") -> str:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write


def rows(dataset: object) -> list[tuple[object, object, float]]:
    it = dataset.interactions  # type: ignore[attr-defined]
    users = dataset.users.to_ids(it.user_idx.tolist())  # type: ignore[attr-defined]
    items = dataset.items.to_ids(it.item_idx.tolist())  # type: ignore[attr-defined]
    return list(zip(users, items, it.value.tolist(), strict=True))


def test_a_plain_file_becomes_a_dataset(write: Write) -> None:
    dataset = load_csv(write(GOOD))
    assert dataset.name == "ratings"
    assert rows(dataset) == [("u1", "i1", 4), ("u1", "i2", 2), ("u2", "i1", 5)]
    assert dataset.interactions.timestamp is not None
    assert dataset.interactions.timestamp.tolist() == [10**9, 10**9 + 1, 10**9 + 2]
    assert dataset.scale == (2.0, 5.0)
    assert dataset.facts["scale_source"] == "observed"
    assert dataset.facts["rows_read"] == 3
    assert dataset.facts["rows_dropped"] == {}


def test_the_order_of_rows_and_columns_does_not_matter(write: Write) -> None:
    shuffled = "timestamp;rating;item;user\n1000000002;5;i1;u2\n1000000001;2;i2;u1\n"
    other = load_csv(write(shuffled + "1000000000;4;i1;u1\n", "b.csv"))
    assert other.fingerprint == load_csv(write(GOOD)).fingerprint


@pytest.mark.parametrize(
    "header",
    [
        "user_id,item_id,rating,timestamp",
        "userId,movieId,Rating,Timestamp",
        "CustomerID,asin,overall,unixReviewTime",
        '"uid","iid","score","ts"',
    ],
)
def test_usual_names_are_guessed_and_the_guess_is_told(
    header: str, write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(GOOD.replace("user,item,rating,timestamp", header))
    with caplog.at_level(logging.INFO):
        dataset = load_csv(path)
    assert len(dataset.interactions) == 3
    names = [name.strip('"') for name in header.split(",")]
    assert dataset.facts["columns"] == dict(
        zip(("user", "item", "rating", "timestamp"), names, strict=True)
    )
    assert dataset.facts["columns_guessed"] == ["user", "item", "rating", "timestamp"]
    assert f"guessed user={names[0]}" in caplog.text


def test_named_columns_win_over_usual_names(write: Write) -> None:
    path = write("user,item,rating,who,liked\nx,i1,1,u1,4\ny,i2,1,u2,5\n")
    dataset = load_csv(path, {"user": "who", "rating": "liked", "item": None})
    assert rows(dataset) == [("u1", "i1", 4), ("u2", "i2", 5)]
    assert dataset.facts["columns_guessed"] == ["item"]


def test_an_empty_name_means_there_is_no_such_column(write: Write) -> None:
    dataset = load_csv(write(GOOD), {"rating": "", "timestamp": ""})
    assert not dataset.explicit
    assert dataset.interactions.timestamp is None
    assert dataset.interactions.value.tolist() == [1, 1, 1]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_delimiters_and_line_ends_are_told_apart(delimiter: str, end: str, write: Write) -> None:
    path = write(GOOD.replace(",", delimiter).replace("\n", end))
    assert load_csv(path).fingerprint == load_csv(write(GOOD, "good.csv")).fingerprint


@pytest.mark.parametrize("delimiter", ["^", "::", "<=>", " "])
def test_a_declared_delimiter_is_used(delimiter: str, write: Write) -> None:
    path = write(GOOD.replace(",", delimiter))
    assert load_csv(path, delimiter=delimiter).fingerprint == load_csv(write(GOOD, "g")).fingerprint
    with pytest.raises(ConfigError, match=r"dataset.delimiter='': expected at least one"):
        load_csv(path, delimiter="")


def test_movielens_own_delimiter_is_told(write: Write) -> None:
    dataset = load_csv(write("1::10::4::978300760\n1::20::5::978302109\n", "ratings.dat"))
    assert rows(dataset) == [(1, 10, 4), (1, 20, 5)]
    assert dataset.facts["format"]["delimiter"] == "::"
    assert dataset.facts["format"]["guessed"] == ["delimiter", "header"]


def test_a_byte_order_mark_and_gzip_are_read_through(write: Write) -> None:
    path = write(gzip.compress(b"\xef\xbb\xbf" + GOOD.encode()), "ratings.csv.gz")
    assert load_csv(path).name == "ratings"
    assert load_csv(path).fingerprint == load_csv(write(GOOD)).fingerprint


def test_quoted_fields_hold_delimiters_quotes_and_line_ends(write: Write) -> None:
    dataset = load_csv(write('user,item\n"a,b","say ""hi"""\n"c\nd",e\n'))
    assert rows(dataset) == [("a,b", 'say "hi"', 1), ("c\nd", "e", 1)]


@pytest.mark.parametrize(
    ("texts", "ids"),
    [
        (["7", "10", "9"], [7, 9, 10]),
        (["007", "10", "7"], ["007", "10", "7"]),
        (["1", "abc", "2"], ["1", "2", "abc"]),
        (["NA", "null", "nan"], ["NA", "nan", "null"]),
        (["None", "True", "1e5"], ["1e5", "None", "True"]),
        (["9007199254740993", "1", "2"], [1, 2, 9007199254740993]),
        (["9223372036854775808", "1", "2"], ["1", "2", "9223372036854775808"]),
        (["-1", "0", "+1"], ["+1", "-1", "0"]),
        (["ünï", "日本", "a b"], ["a b", "ünï", "日本"]),
    ],
)
def test_ids_stay_what_they_are(texts: list[str], ids: list[object], write: Write) -> None:
    dataset = load_csv(write("user,item\n" + "".join(f"u{i},{t}\n" for i, t in enumerate(texts))))
    assert list(dataset.items.ids) == ids


def test_an_id_far_down_makes_all_of_them_text(write: Write) -> None:
    lines = "".join(f"{i},x\n" for i in range(300_000))
    dataset = load_csv(write(f"user,item\n{lines}abc,x\n"))
    assert {type(id_) for id_ in dataset.users.ids} == {str}
    assert dataset.n_users == 300_001


@pytest.mark.parametrize(
    ("texts", "written"),
    [
        (["1577836800", "1577836861"], "seconds"),
        (["1577836800.0", "1577836861.9"], "seconds"),
        (["1577836800000", "1577836861999"], "milliseconds"),
        (["1577836800000000", "1577836861999999"], "microseconds"),
        (["1577836800000000000", "1577836861999999999"], "nanoseconds"),
        (["2020-01-01", "2020-01-01T00:01:01"], "ISO 8601"),
        (["2020-01-01 00:00:00", "2020-01-01 00:01:01.999"], "ISO 8601"),
        (["2020-01-01T00:00:00Z", "2020-01-01T02:01:01+02:00"], "ISO 8601"),
        (["2020-01-01T00:00:00", "2019-12-31T19:01:01-05:00"], "ISO 8601"),
    ],
)
def test_times_are_recognized(texts: list[str], written: str, write: Write) -> None:
    dataset = load_csv(write(f"user,item,time\na,x,{texts[0]}\nb,y,{texts[1]}\n"))
    assert dataset.interactions.timestamp is not None
    assert dataset.interactions.timestamp.tolist() == [1577836800, 1577836861]
    assert dataset.facts["timestamp_format"] == written


def test_small_numbers_are_seconds_too(write: Write) -> None:
    dataset = load_csv(write("user,item,timestamp\na,x,0\na,y,1\nb,y,2\n"))
    assert dataset.interactions.timestamp is not None
    assert dataset.interactions.timestamp.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("u3,i1,good,1000000000", "rating not a number"),
        ("u3,i1,,1000000000", "rating not a number"),
        ("u3,i1,NaN,1000000000", "rating not a number"),
        ("u3,i1,inf,1000000000", "rating not finite"),
        ("u3,i1,-1e300,1000000000", "rating not finite"),
        ("u3,i1,6,1000000000", "rating outside 1 to 5"),
        ("u3,i1,0,1000000000", "rating outside 1 to 5"),
        ("u3,i1,4,-1", "timestamp not a time from 1970 to 2099"),
        ("u3,i1,4,99999999999999", "timestamp not a time from 1970 to 2099"),
        ("u3,i1,4,", "timestamp not a time from 1970 to 2099"),
        ("u3,i1,4,2020-01-01", "timestamp not in seconds, as most are"),
        ("u3,i1,4,01/02/2020", "timestamp not a time from 1970 to 2099"),
        ("u3,i1,4,nan", "timestamp not a time from 1970 to 2099"),
        (",i1,4,1000000000", "user missing"),
        ("u3,,4,1000000000", "item missing"),
        ("u3,i1,4", "not 4 fields"),
        ("u3,i1,4,1000000000,9", "not 4 fields"),
    ],
)
def test_a_few_bad_rows_are_dropped_counted_and_told(
    row: str, reason: str, write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    good = load_csv(write(GOOD, "good.csv"), scale=[1, 5])
    with caplog.at_level(logging.WARNING):
        dataset = load_csv(write(GOOD + row + "\n"), scale=[1, 5])
    assert dataset.fingerprint == good.fingerprint
    assert dataset.facts["rows_read"] == 4
    assert dataset.facts["rows_dropped"] == {reason: 1}
    assert f"dropped 1 of 4 rows (1 {reason})" in caplog.text


def test_a_row_with_two_faults_counts_once(write: Write) -> None:
    dataset = load_csv(write(GOOD + ",i1,bad,1000000000\nu1,i1,bad,1000000000\n"))
    assert dataset.facts["rows_dropped"] == {"user missing": 1, "rating not a number": 1}
    assert len(dataset.interactions) == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("user,item,rating\na,x,good\nb,y,bad\n", "not a number in 2 of 2 rows, such as 'good'"),
        ("user,item,rating\na,x,inf\nb,y,-inf\n", "not finite in 2 of 2 rows, such as 'inf'"),
        ("user,item,rating\na,x,nan\nb,y,nan\n", "rating not a number in 2 of 2"),
        ("user,item,time\na,x,noon\nb,y,teatime\n", "column 'time' cannot be the timestamp"),
        ("user,item,time\na,x,-5\nb,y,-7\n", "1970 to 2099 in 2 of 2 rows, such as '-5'"),
        ("user,item\n,x\n,y\n", "column 'user' cannot be the user: user missing in 2 of 2"),
        ("user,item\na;x\nb;y\n", "2 of 2 rows do not have the 2 fields of the header"),
    ],
)  # fmt: skip
def test_a_column_that_is_mostly_bad_is_refused(content: str, message: str, write: Write) -> None:
    with pytest.raises(DataError, match=message) as caught:
        load_csv(write(content))
    assert "dataset." in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_columns_are_named_with_what_there_is(write: Write) -> None:
    path = write("user,thing\na,x\n")
    with pytest.raises(
        DataError,
        match=r"^ratings.csv has no column for the item \(found: user, thing\); "
        r"set dataset.columns.item=NAME$",
    ):
        load_csv(path)
    with pytest.raises(DataError, match=r"has no column 'movie' \(found: user, thing\); set"):
        load_csv(path, {"item": "movie"})
    with pytest.raises(DataError, match="'user' cannot be both user and item"):
        load_csv(path, {"item": "user"})
    with pytest.raises(ConfigError, match=r"dataset.columns.itm'; did you mean 'item'\?"):
        load_csv(path, {"itm": "thing"})


def test_a_column_that_is_there_twice_is_refused_only_when_it_is_used(write: Write) -> None:
    path = write("user,item,note,note\na,x,1,2\nb,y,3,4\n")
    assert len(load_csv(path).interactions) == 2
    with pytest.raises(DataError, match="more than one column 'note'"):
        load_csv(path, {"rating": "note"})


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("196\t242\t3\t881250949\n186\t302\t2\t891717742\n", {"rating": "3", "timestamp": "4"}),
        ("196,242,881250949\n186,302,891717742\n", {"timestamp": "3"}),
        ("a,b,2020-01-01,5\nc,d,2020-01-02,4\n", {"timestamp": "3", "rating": "4"}),
        ("1,2\n3,4\n", {}),
    ],
)
def test_without_a_header_columns_are_told_by_place(
    content: str, expected: dict[str, str], write: Write
) -> None:
    dataset = load_csv(write(content, "u.data"))
    assert dataset.facts["columns"] == {"user": "1", "item": "2", **expected}
    assert len(dataset.interactions) == 2
    assert dataset.facts["format"]["header"] is False


def test_whether_there_is_a_header_can_be_said(write: Write) -> None:
    path = write("user,item\na,x\n")
    assert len(load_csv(path, header=False).interactions) == 2
    path = write("1,2\na,x\n")
    with pytest.raises(DataError, match=r"no column for the user \(found: 1, 2\)"):
        load_csv(path, header=True)
    assert rows(load_csv(path, {"user": 2, "item": 1}, header=True)) == [("x", "a", 1)]


def test_a_missing_file_a_folder_and_an_empty_file_are_told(write: Write, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere.csv does not exist; set dataset.path"):
        load_csv(str(tmp_path / "nowhere.csv"))
    with pytest.raises(DataError, match=r"is a folder without files .csv"):
        load_csv(str(tmp_path))
    with pytest.raises(DataError, match="is empty; expected a header line"):
        load_csv(write(""))
    with pytest.raises(DataError, match="begins with an empty line"):
        load_csv(write("\nuser,item\na,x\n"))
    for header_only in ("user,item,rating\n", "user,item,rating"):
        with pytest.raises(DataError, match="has a header but no rows"):
            load_csv(write(header_only))


def test_a_truncated_gzip_is_told(write: Write) -> None:
    lines = GOOD + "".join(f"u{random.Random(i).random()},i1,3,1000000000\n" for i in range(9999))
    content = gzip.compress(lines.encode())
    with pytest.raises(DataError, match=r"ratings.csv.gz cannot be read") as caught:
        load_csv(write(content[: len(content) // 2], "ratings.csv.gz"))
    assert "\n" not in str(caught.value)


def test_another_encoding_must_be_named(write: Write) -> None:
    path = write("user,item\nJosé,x\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"not utf-8: set dataset.encoding, for instance latin-1"):
        load_csv(path)
    assert list(load_csv(path, encoding="latin-1").users.ids) == ["José"]
    with pytest.raises(ConfigError, match=r"dataset.encoding=latin-x"):
        load_csv(path, encoding="latin-x")


def test_the_scale_is_as_declared_or_as_observed(write: Write) -> None:
    path = write(GOOD)
    declared = load_csv(path, scale=[1, 5])
    assert (declared.scale, declared.relevance_threshold) == ((1.0, 5.0), 4.0)
    assert declared.facts["scale_source"] == "declared"
    with pytest.raises(ConfigError, match=r"dataset.scale=\[5, 1\]: expected \[lowest, highest\]"):
        load_csv(path, scale=[5, 1])
    with pytest.raises(DataError, match=r"no column for the rating, but dataset\.scale is set"):
        load_csv(write("user,item\na,x\n"), scale=[1, 5])


def test_ratings_that_are_all_the_same_are_implicit(write: Write) -> None:
    dataset = load_csv(write("user,item,rating\na,x,1\nb,y,1\n"))
    assert not dataset.explicit
    assert dataset.facts["scale_source"] == "none: every rating is 1"


def test_one_user_and_one_item_are_a_dataset(write: Write) -> None:
    dataset = load_csv(write("user,item,rating\na,x,3\n"), scale=[1, 5])
    assert (dataset.n_users, dataset.n_items, len(dataset.interactions)) == (1, 1, 1)


def test_repeated_pairs_are_kept_for_preprocessing(write: Write) -> None:
    dataset = load_csv(write("user,item,rating,time\na,x,3,5\na,x,4,2\na,x,4,2\n"))
    assert dataset.interactions.value.tolist() == [4, 4, 3]


@settings(max_examples=150, derandomize=True, deadline=None)
@given(st.binary(max_size=60), st.sampled_from([b"user,item\n", b"user,item,rating,time\n", b""]))
def test_whatever_the_bytes_it_is_a_dataset_or_one_line(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, header: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.csv"
    path.write_bytes(header + content)
    try:
        dataset = load_csv(str(path))
    except DataError as error:
        message = str(error)
    else:
        message = ""
        kept, dropped = len(dataset.interactions), sum(dataset.facts["rows_dropped"].values())
        assert kept + dropped == dataset.facts["rows_read"]
        assert np.isfinite(dataset.interactions.value).all()
    assert "\n" not in message
