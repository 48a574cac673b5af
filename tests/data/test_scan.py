"""The grammar of delimited text, and its two engines side by side."""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recexp.data import scan
from recexp.data.readers import load_csv
from recexp.data.rows import LONG, MAX_ROW, QUOTES, Dialect, parse_row
from recexp.data.scan_blocks import Workers, segments_of
from recexp.data.scan_compiled import CompiledCoder
from recexp.data.scan_plain import PlainCoder
from recexp.data.segments import SHOWN, Coder, Layout
from recexp.data.text import TextFile
from recexp.data.timestamps import TEXT

COMMA = Dialect(b",")
ROLES = {"user": 0, "item": 1, "timestamp": 2}


class Blocks:
    """A file that comes in given pieces."""

    def __init__(self, *blocks: bytes) -> None:
        self._blocks = blocks

    def blocks(self) -> Iterator[bytes]:
        return iter(self._blocks)


def told(coder: Coder, *blocks: bytes) -> list[Any]:
    """Rows as [line, user, item, form, moment], what is bad, and the number of lines."""
    rows: list[Any] = []
    bad: list[Any] = []
    line = 1
    file: Any = Blocks(*blocks)
    with ThreadPoolExecutor(1) as pool:
        workers = Workers([coder], pool)
        for segment in segments_of(file, coder.layout, workers):
            gaps = [(0, 0), *segment.gaps]
            texts = [coder.coders[role].decode(codes) for role, codes in segment.codes.items()]
            for row in range(segment.n_rows):
                at, below = next(gap for gap in reversed(gaps) if gap[0] <= row)
                rows.append([line + below + row - at, *(column[row] for column in texts)])
                if segment.forms is not None and segment.values is not None:
                    form, moment = int(segment.forms[row]), segment.values[row : row + 1]
                    decode = coder.coders["timestamp"].decode
                    rows[-1] += [form, *(decode(moment) if form == TEXT else moment.tolist())]
            bad += [(line + below, reason, text) for below, reason, text in segment.bad]
            line += segment.n_lines
    return [rows, bad, line]


def layout(
    dialect: Dialect = COMMA, positions: dict[str, int] | None = None, n_fields: int = 3
) -> Layout:
    return Layout(dialect, positions or ROLES, n_fields, False)


@pytest.mark.parametrize("engine", [PlainCoder, CompiledCoder])
def test_rows_keep_their_lines_whatever_lies_between(engine: type[Coder]) -> None:
    text = b'a,x,5\n\n\r\n"b\nb",y,6\nc,z\n"d""",w,2020-01-02\r"e,v,7\nf,u,noon'
    rows, bad, lines = told(engine(layout()), text)
    assert rows == [
        [1, b"a", b"x", 1, 5],
        [4, b"b\nb", b"y", 1, 6],
        [7, b'd"', b"w", 2, 1577923200],
        [9, b"f", b"u", 0, b"noon"],
    ]
    assert bad == [(6, "not 3 fields", "c,z"), (8, QUOTES, '"e,v,7')]
    assert lines == 10


@pytest.mark.parametrize("engine", [PlainCoder, CompiledCoder])
def test_a_stray_quote_costs_its_line_and_no_other(engine: type[Coder]) -> None:
    text = b'a,"x,1\nb,y,2\nc,z,3\n'
    rows, bad, _ = told(engine(layout()), text)
    assert [row[1] for row in rows] == [b"b", b"c"]
    assert bad == [(1, QUOTES, 'a,"x,1')]


@pytest.mark.parametrize("engine", [PlainCoder, CompiledCoder])
def test_without_quoting_a_quote_is_a_character(engine: type[Coder]) -> None:
    rows, bad, _ = told(engine(layout(Dialect(b"::", b""))), b'"a::x"::1\nb:c::"y::2\n')
    assert [row[1:3] for row in rows] == [[b'"a', b'x"'], [b"b:c", b'"y']]
    assert bad == []


@pytest.mark.parametrize("engine", [PlainCoder, CompiledCoder])
def test_a_line_without_end_costs_one_row_and_little_memory(engine: type[Coder]) -> None:
    long = b"x" * (MAX_ROW // 2)
    blocks = [b"a,x,1\nb,", *[long] * 7, b",2\nc,z,3\n"]
    rows, bad, lines = told(engine(layout()), *blocks)
    assert [row[:2] for row in rows] == [[1, b"a"], [3, b"c"]]
    assert [(line, reason) for line, reason, _ in bad] == [(2, LONG)]
    assert len(bad[0][2]) <= SHOWN
    assert lines == 4


def test_many_ids_make_the_tables_grow() -> None:
    coder = CompiledCoder(layout(positions={"user": 0, "item": 1}, n_fields=2))
    ids = [f"user-{i:x}-{'u' * (i % 50)}".encode() for i in range(120_000)]
    text = b"".join(b"%s,%d\n" % (id_, 3 * i) for i, id_ in enumerate(ids))
    (segment,), used = coder.segments(text, True)
    assert used == len(text)
    assert coder.coders["user"].decode(segment.codes["user"]) == ids
    assert len(set(segment.codes["user"].tolist())) == len(ids)
    (again,), _ = coder.segments(text[text.index(b"\n") + 1 :], True)
    assert again.codes["user"].tolist() == segment.codes["user"].tolist()[1:]
    assert again.codes["item"].tolist()[:3] == [3, 6, 9]


def test_files_are_scanned_alike_by_one_thread_or_several(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = random.Random(0)
    lines = [f"{draw.randrange(500)},i{draw.randrange(99)},{10**9 + i}\n" for i in range(60_000)]
    lines[700] = "only one field\n"
    lines[50_000] = '"quoted\nid",x,2020-01-01\n'
    path = tmp_path / "x.csv"
    path.write_text("".join(lines))
    monkeypatch.setattr("recexp.data.text.BLOCK", 1 << 16)
    file = TextFile.open(path)
    found = []
    for small, threads in ((1 << 30, 1), (0, 1), (0, 3)):
        monkeypatch.setattr(scan, "SMALL", small)
        one = scan.scan([file], layout(), threads)
        texts = {
            role: [column.distinct[code] for code in column.codes().tolist()]
            for role, column in one.columns.items()
        }
        assert one.moments is not None
        found.append([texts, one.moments.values.tolist(), one.bad, one.n_bad, one.rows_of])
        assert one.lines(one.moments.values.argsort()[:1] * 0 + 700) == [(0, 702)]
    assert found[0] == found[1] == found[2]
    assert found[0][0]["user"][49_999] == b"quoted\nid"


def test_without_numba_all_is_read_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    draw = random.Random(1)
    path = tmp_path / "x.csv"
    rows = [f"{draw.randrange(99):03},i{draw.randrange(50)},{10**9 + i}\n" for i in range(5_000)]
    path.write_text("user,item,timestamp\n" + "".join(rows))
    monkeypatch.setattr(scan, "SMALL", 0)
    monkeypatch.setattr("recexp.data.order.COMPILED", 0)
    expected = load_csv(str(path), snapshot="off")
    for module in ("scan", "order"):
        monkeypatch.setattr(f"recexp.data.{module}.available", lambda: False)
    assert load_csv(str(path), snapshot="off").fingerprint == expected.fingerprint
    assert "numba is not installed" in caplog.text


CONTENT = st.lists(
    st.sampled_from(
        [
            *(b",", b'"', b'""', b"\n", b"\r", b"\r\n", b"a", b"7", b"007", b"-1", b"\xff", b"::"),
            *(b"2020-02-29", b"2020-01-01T10:20:30.5+02:00", b"1577836800", b"b c", b"a,b,1\n"),
            *(b"0", b"999999", b"1000000", b"999999999999999999", b"9" * 19, b"8" * 19),
        ]
    ),
    max_size=25,
).map(b"".join)
DIALECTS = [(delimiter, quote) for delimiter in (b",", b"::") for quote in (b"", b'"')]


@settings(max_examples=400, derandomize=True, deadline=None)
@given(CONTENT, st.sampled_from(DIALECTS), st.lists(st.integers(0, 80), max_size=3))
def test_both_engines_find_the_same_in_any_text_cut_anywhere(
    content: bytes, dialect: tuple[bytes, bytes], cuts: list[int]
) -> None:
    one = layout(Dialect(*dialect))
    ends = sorted({*(cut for cut in cuts if cut < len(content)), len(content)})
    blocks = [content[a:b] for a, b in zip([0, *ends], ends, strict=False) if b > a]
    assert told(_compiled(dialect), *blocks) == told(PlainCoder(one), content)


_MADE: dict[tuple[bytes, bytes], CompiledCoder] = {}


def _compiled(dialect: tuple[bytes, bytes]) -> CompiledCoder:
    """An engine a dialect: making one takes milliseconds."""
    if dialect not in _MADE:
        _MADE[dialect] = CompiledCoder(layout(Dialect(*dialect)))
    return _MADE[dialect]


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.lists(st.text('ab",\r\n', max_size=5), min_size=2, max_size=4))
def test_what_a_csv_writer_writes_is_read_back(fields: list[str]) -> None:
    import csv
    import io

    text = io.StringIO()
    csv.writer(text).writerow(fields)
    row = parse_row(text.getvalue().encode(), 0, COMMA, 0, True)
    assert row is not None
    assert [field.decode() for field in row.fields] == fields
    assert row.size == len(text.getvalue())
