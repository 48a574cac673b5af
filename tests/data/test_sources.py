"""Where text comes from: several files, compressed, in any encoding, broken, or changing."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from recexp.data.checks import findings
from recexp.data.dataset import Dataset
from recexp.data.readers import load_csv
from recexp.data.text import TextFile
from recexp.errors import ConfigError, DataError

GOOD = "user,item,rating,timestamp\nu1,i1,4,1000000000\nu1,i2,2,1000000001\nu2,i1,5,1000000002\n"
Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(content: str | bytes, name: str = "ratings.csv") -> str:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write


def zstd(content: bytes) -> bytes:
    return pa.compress(content, codec="zstd", asbytes=True)  # type: ignore[no-any-return]


def zipped(content: bytes) -> bytes:
    import io

    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("inside.csv", content)
    return archive.getvalue()


@pytest.mark.parametrize(
    "pack",
    [gzip.compress, bz2.compress, lzma.compress, zstd, zipped],
    ids=["gz", "bz2", "xz", "zst", "zip"],
)
def test_compression_is_told_by_content_not_by_name(
    pack: Callable[[bytes], bytes], write: Write
) -> None:
    expected = load_csv(write(GOOD)).fingerprint
    packed = pack(GOOD.encode())
    assert load_csv(write(packed, "packed.csv")).fingerprint == expected
    many = pack(GOOD.encode() * 3000)
    with pytest.raises(DataError, match=r"half.csv cannot be read \(") as caught:
        load_csv(write(many[: len(many) * 2 // 3], "half.csv"))
    assert "\n" not in str(caught.value)


def test_a_folder_a_pattern_and_a_list_are_read_as_one(write: Write, tmp_path: Path) -> None:
    header, *lines = GOOD.splitlines(keepends=True)
    (tmp_path / "parts").mkdir()
    for number, line in enumerate(lines):
        write(header + line, f"parts/part-{number}.csv")
    write("not a table", "parts/_SUCCESS")
    write("not a table", "parts/notes.md")
    expected = load_csv(write(GOOD)).fingerprint
    folder = load_csv(str(tmp_path / "parts"))
    assert folder.fingerprint == expected
    assert folder.name == "parts"
    assert [file["rows"] for file in folder.facts["files"]] == [1, 1, 1]
    assert load_csv(str(tmp_path / "parts" / "part-*.csv")).fingerprint == expected
    paths = [str(tmp_path / "parts" / f"part-{number}.csv") for number in (2, 0, 1)]
    assert load_csv(paths).fingerprint == expected
    with pytest.raises(DataError, match=r"no file matches dataset.path=.*part-x"):
        load_csv(str(tmp_path / "parts" / "part-x*.csv"))
    write("user,thing\na,b\n", "parts/part-9.csv")
    with pytest.raises(DataError, match=r"part-9.csv has the columns user, thing; part-0.csv has"):
        load_csv(str(tmp_path / "parts"))


def test_bad_rows_are_listed_with_file_line_reason_and_text(
    write: Write, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "parts").mkdir()
    write(GOOD + "u3,i1\n\n,i1,4,1000000003\n", "parts/a.csv")
    write(GOOD + 'u3,"i\n1",good,1000000003\nu3,i1,4,never\n', "parts/b.csv")
    dataset = load_csv(str(tmp_path / "parts"))
    assert Path(dataset.facts["rejected_file"]).read_text().splitlines() == [
        "file,line,reason,text",
        'a.csv,5,not 4 fields,"u3,i1"',
        'a.csv,7,user missing,",i1,4,1000000003"',
        'b.csv,5,rating not a number,"u3,i',
        '1,good,1000000003"',
        'b.csv,7,timestamp not a time from 1970 to 2099,"u3,i1,4,never"',
    ]
    assert dataset.facts["rows_read"] == len(dataset.interactions) + 4
    assert dataset.facts["repairs"] == {
        "blank lines skipped": 1,
        "rows over several lines joined": 1,
    }
    assert dataset.facts["exact_duplicates"] == dataset.facts["repeated_pairs"] == 3
    assert "see " + dataset.facts["rejected_file"] in caplog.text
    caplog.clear()
    assert load_csv(str(tmp_path / "parts")).facts["snapshot"]["state"] == "reused"
    assert "dropped 4 of 10 rows" in caplog.text


def test_what_bad_rows_do_can_be_chosen(write: Write, tmp_path: Path) -> None:
    path = write(GOOD + "u3,i1,bad,1000000003\n")
    dropped = load_csv(path, on_bad_rows="drop")
    assert dropped.facts["rejected_file"] is None
    assert dropped.facts["rows_dropped"] == {"rating not a number": 1}
    with pytest.raises(
        DataError,
        match=r"1 of 4 rows \(1 rating not a number\) cannot be used; the first is ratings.csv, "
        r"line 5: rating not a number: 'u3,i1,bad,1000000003'; mend them, or set",
    ):
        load_csv(path, on_bad_rows="fail")
    with pytest.raises(ConfigError, match=r"dataset.on_bad_rows=reprot; did you mean 'report'"):
        load_csv(path, on_bad_rows="reprot")  # type: ignore[arg-type]
    listed = load_csv(path, rejected=str(tmp_path / "bad.csv")).facts["rejected_file"]
    assert listed == str(tmp_path / "bad.csv")
    assert "ratings.csv,5," in Path(listed).read_text()


def test_encodings_are_read_and_mixed_ones_are_reported(write: Write) -> None:
    text = "user,item\nJosé,x\nZoë,y\nBo,z\nAl,z\n"
    expected = ["Al", "Bo", "José", "Zoë"]
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1", "cp1252"):
        content = text.encode(encoding)
        declared = "utf-8" if encoding in ("utf-8-sig", "utf-16") else encoding
        assert list(load_csv(write(content), encoding=declared).users.ids) == expected
    mixed = text.encode().replace("Zoë".encode(), "Zoë".encode("latin-1"))
    dataset = load_csv(write(mixed))
    assert list(dataset.users.ids) == ["Al", "Bo", "José"]
    assert dataset.facts["rows_dropped"] == {"user not utf-8": 1}
    assert "Zo\\xeb" in Path(dataset.facts["rejected_file"]).read_text()
    with pytest.raises(DataError, match=r"has zero bytes; set dataset.encoding"):
        load_csv(write(text.encode("utf-16-le")))
    with pytest.raises(DataError, match=r"is not utf-16 \(.*BOM\); set dataset.encoding"):
        load_csv(write(text), encoding="utf-16")
    with pytest.raises(ConfigError, match="Python knows no such encoding"):
        load_csv(write(text), encoding="rot13")


def test_bytes_of_another_encoding_do_not_matter_where_nobody_looks(write: Write) -> None:
    dataset = load_csv(write("user,item,title\na,x,caf\xe9\nb,y,t\n".encode("latin-1")))
    assert len(dataset.interactions) == 2


def test_a_file_that_changes_while_it_is_read_is_refused(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(GOOD)
    blocks = TextFile.blocks

    def growing(self: TextFile) -> Iterator[bytes]:
        yield from blocks(self)
        with Path(path).open("a") as file:
            file.write("u9,i9,1,1000000009\n")
        os.utime(path, ns=(1, 1))
        self.check_unchanged()

    monkeypatch.setattr(TextFile, "blocks", growing)
    with pytest.raises(DataError, match=r"ratings.csv changed while it was read"):
        load_csv(path)


def test_dates_in_three_formats_are_told_apart(write: Write) -> None:
    text = "user,item,date\na,x,2020-01-01\nb,x,2020-01-02 10:00\nc,x,2020-01-03T10:00:00Z\n"
    dataset = load_csv(write(text))
    assert dataset.facts["timestamp_format"] == "ISO 8601"
    assert list(dataset.facts["timestamp_forms"].values()) == [1, 1, 1]
    text += "d,x,03/01/2020\ne,x,1578045600\nf,x,2020-01-04\n"
    dataset = load_csv(write(text))
    assert dataset.facts["rows_dropped"] == {
        "timestamp not in ISO 8601, as most are": 1,
        "timestamp not a time from 1970 to 2099": 1,
    }


def test_seconds_among_milliseconds_are_not_taken_for_1970(write: Write) -> None:
    rows = "".join(f"u{i},x,{1577836800000 + i}\n" for i in range(9))
    dataset = load_csv(write(f"user,item,time\n{rows}v,x,1577836800\n"))
    assert dataset.facts["timestamp_format"] == "milliseconds"
    assert dataset.facts["rows_dropped"] == {"timestamp not in milliseconds, as most are": 1}
    assert dataset.interactions.timestamp is not None
    assert np.unique(dataset.interactions.timestamp).tolist() == [1577836800]


def test_tables_of_items_and_users_are_joined_by_id(write: Write) -> None:
    items = write('book_id;timestamp;tags\ni2;1990;"a;b"\ni9;1;x\n', "books.csv")
    users = write("u1|F\nu2|M\nu2|X\n", "people.psv")
    dataset = load_csv(
        write(GOOD),
        items={"path": items, "columns": {"year": "timestamp", "tags": "tags"}},
        users={"path": users, "header": False, "id": "1", "columns": {"gender": "2"}},
    )
    assert dict(dataset.item_columns) == {"year": ("", "1990"), "tags": ("", "a;b")}
    assert dict(dataset.user_columns) == {"gender": ("F", "M")}
    assert dataset.facts["tables"]["items"]["unmatched_rows"] == 1
    assert dataset.facts["tables"]["items"]["ids_without_row"] == 1
    assert dataset.facts["tables"]["users"]["repeated_ids"] == 1
    with pytest.raises(ConfigError, match=r"'dataset.items.pth'; did you mean 'path'"):
        load_csv(write(GOOD), items={"pth": items})
    with pytest.raises(DataError, match=r"has no column 'name' .*; set dataset.items"):
        load_csv(write(GOOD), items={"path": items, "columns": ["name"]})
    with pytest.raises(DataError, match=r"no 'book_id' is one of the items of ratings"):
        load_csv(write(GOOD), items={"path": write("book_id,a\nq,1\n", "other.csv")})


def test_a_snapshot_is_of_files_and_options(write: Write) -> None:
    path = write(GOOD)

    def state(**options: object) -> str:
        dataset: Dataset = load_csv(path, **options)  # type: ignore[arg-type]
        return str(dataset.facts["snapshot"]["state"])

    assert [state(), state(), state(scale=[1, 5]), state(name="x")] == [
        *("written", "reused", "written", "written")
    ]
    write(GOOD.replace("u2", "u7"))
    assert state() == "written"
    assert list(load_csv(path).users.ids) == ["u1", "u7"]
    table = write("item,title\ni1,One\n", "items.csv")
    assert state(items={"path": table}) == "written"
    write("item,title\ni1,Two\n", "items.csv")
    assert load_csv(path, items={"path": table}).item_columns["title"] == ("Two", "")


def test_everything_that_was_done_is_a_finding(write: Write) -> None:
    dataset = load_csv(write("\ufeff" + GOOD + "\nu1,i1,4,1000000000\nu3,i1,bad,1000000003\n"))
    told = [(finding.level, str(finding)) for finding in findings(dataset)]
    assert [level for level, _ in told] == sorted(
        (level for level, _ in told), key=["guess", "repair", "reject", "note"].index
    )
    text = "\n".join(sentence for _, sentence in told)
    for part in (
        "the user is column 'user'; if not, set dataset.columns.user",
        "delimiter is ','; if not, set dataset.delimiter",
        "1 blank lines skipped",
        "1 byte order marks removed",
        "1 rows left out (20.00%): rating not a number; listed in ",
        "1 rows repeat a pair of user and item (1 of them in all columns)",
    ):
        assert part in text
