"""Throw broken text at the readers until something gives.

    python benchmarks/fuzz_readers.py --inputs 1000000
    python benchmarks/fuzz_readers.py --atheris -max_total_time=600      (guided by coverage)

Every input is read from beginning to end as a file would be, and must come out as a dataset or as
an error of one line; rows read are rows kept and rows reported, and where there are no quotes they
are the lines of the file. The same bytes go through both engines, cut into blocks at random: the
compiled one must find the rows, codes, moments, lines and reasons that the plain one finds.
"""

from __future__ import annotations

import argparse
import logging
import os
import random
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from recexp.data.dataset import Dataset
from recexp.data.readers import load_csv
from recexp.data.rows import Dialect
from recexp.data.scan_blocks import Workers, segments_of
from recexp.data.scan_compiled import CompiledCoder
from recexp.data.scan_plain import PlainCoder
from recexp.data.segments import Coder, Layout
from recexp.data.timestamps import TEXT
from recexp.errors import RecexpError

SEEDS = [
    b"user,item,rating,timestamp\nu1,i1,4,1000000000\nu1,i2,2,1000000001\nu2,i1,5,1000000002\n",
    b'user,item\r\n"a,b","say ""hi"""\r\n"c\nd",e\r\n\r\n007,+7\r\n',
    b"user::item::rating::timestamp\n1::2::3.5::2020-01-01\n1::3::nan::2020-01-01T00:00:00Z\n",
    b"1\t242\t3\t881250949\n186\t302\t3\t891717742\n",
    "user;item;rating\nü;日本;4\nü;x;inf\n;x;1\n".encode() + b"caf\xe9;y;2\n",
    b"\xef\xbb\xbfuser,item,rating\ra,x,1\rb,y,2\rc\r",
    b'user,item,rating\na,"x,1\nb,y,2\nc,z,3\n',
]
TOKENS = [
    *(b",", b";", b"\t", b"::", b"|", b'"', b'""', b"\n", b"\r", b"\r\n", b"\n\n", b" ", b"\0"),
    *(
        b"user",
        b"item",
        b"1",
        b"0",
        b"-",
        b"7",
        b"007",
        b"9007199254740993",
        b"1e5",
        b"nan",
        b"inf",
    ),
    *(b"2020-01-01", b"2020-02-30", b"T10:00", b"Z", b"+02:00", b"1577836800000", b"\xff", b"\xe9"),
    *(b"\xef\xbb\xbf", b"\xff\xfe", b"\xc3\xa9", b"-1", b"99999999999999999999", b"a" * 70),
]
DELIMITERS = (b",", b";", b"\t", b"::", b"|")


class Readers:
    """The readers under test, and what they are held to."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "input.csv"
        self.compiled: dict[Any, CompiledCoder] = {}
        self.used = 0
        self.outcomes = {"datasets": 0, "errors": 0, "rows": 0, "reported": 0}

    def check(self, content: bytes, choice: int) -> None:
        """Raise AssertionError for a broken promise; any other exception is one too."""
        self.whole(content, choice)
        self.engines(content, choice)

    def whole(self, content: bytes, choice: int) -> None:
        """A file from beginning to end."""
        self.file.write_bytes(content)
        quote = ("", '"')[choice & 1]
        try:
            dataset = load_csv(
                str(self.file),
                encoding=("utf-8", "utf-8", "latin-1", "utf-16")[choice >> 1 & 3],
                header=(None, True, False, None)[choice >> 3 & 3],
                quote=quote,
                on_bad_rows=("drop", "drop", "drop", "fail")[choice >> 5 & 3],
                snapshot="off",
            )
        except RecexpError as error:
            lines = str(error).splitlines()
            self.outcomes["errors"] += 1
        else:
            self.rows(dataset, content, quote)
            return
        assert len(lines) == 1, lines

    def rows(self, dataset: Dataset, content: bytes, quote: str) -> None:
        """Rows read are rows kept and reported, and where there are no quotes lines of the file."""
        facts, kept = dataset.facts, len(dataset.interactions)
        reported = sum(facts["rows_dropped"].values())
        assert facts["rows_read"] == kept + reported, facts
        if facts["format"]["encoding"] != "utf-16" and (not quote or b'"' not in content):
            text = content.removeprefix(b"\xef\xbb\xbf")
            if facts["format"]["encoding"] == "utf-8":
                lines = [line for line in re.split(b"\r\n|\r|\n", text) if line]
                expected = len(lines) - facts["format"]["header"]
                assert facts["rows_read"] == expected, (facts["rows_read"], expected)
        assert np.isfinite(dataset.interactions.value).all()
        self.outcomes["datasets"] += 1
        self.outcomes["rows"] += kept
        self.outcomes["reported"] += reported

    def engines(self, content: bytes, choice: int) -> None:
        """Both engines, the compiled one in pieces."""
        if not content:
            return
        dialect = Dialect(DELIMITERS[choice % 5], (b"", b'"')[choice & 1])
        n_fields = 2 + choice % 3
        roles = ("user", "item", "rating", "timestamp")
        positions = {role: place for place, role in enumerate(roles[:n_fields])}
        if n_fields == 4 and choice & 2:
            positions = {"user": 3, "item": 0, "timestamp": 2}
        layout = Layout(dialect, positions, n_fields, bool(choice & 4))
        key = (dialect, tuple(positions))
        self.used += 1
        if self.used % 1000 == 0:
            self.compiled.clear()  # what they know grows
        if key not in self.compiled:
            self.compiled[key] = CompiledCoder(layout)
        compiled = self.compiled[key]
        plain = found([content], layout, PlainCoder(layout))
        blocks = pieces(content, choice)
        other = found(blocks, layout, compiled)
        assert other == plain, f"{layout} {blocks}\nplain    {plain}\ncompiled {other}"


def found(blocks: list[bytes], layout: Layout, coder: Coder) -> list[Any]:
    """Everything that an engine says of a text: rows as texts, moments, lines, what is bad."""
    file: Any = SimpleNamespace(blocks=lambda: iter(blocks))
    rows: list[Any] = []
    bad: list[Any] = []
    line = blank = spanning = 0
    with ThreadPoolExecutor(1) as pool:
        workers = Workers([coder], pool)
        for segment in segments_of(file, layout, workers):
            gaps = [(0, 0), *segment.gaps]
            texts = {
                role: coder.coders[role].decode(codes) for role, codes in segment.codes.items()
            }
            for row in range(segment.n_rows):
                at, below = next(gap for gap in reversed(gaps) if gap[0] <= row)
                values = [line + below + row - at, *(texts[role][row] for role in texts)]
                if segment.values is not None and segment.forms is not None:
                    form, moment = int(segment.forms[row]), segment.values[row : row + 1]
                    decode = coder.coders["timestamp"].decode
                    values += [form, *(decode(moment) if form == TEXT else moment.tolist())]
                rows.append(values)
            bad += [(line + below, reason, text) for below, reason, text in segment.bad]
            line += segment.n_lines
            blank += segment.blank
            spanning += segment.spanning
    return [rows, bad, line, blank, spanning]


def pieces(content: bytes, choice: int) -> list[bytes]:
    """The content in up to four pieces."""
    cuts = random.Random(choice).choices(range(1, len(content) + 1), k=3)
    ends = sorted({*cuts, len(content)})
    return [content[a:b] for a, b in zip([0, *ends[:-1]], ends, strict=True)]


def mutations(seed: int) -> Iterator[tuple[bytes, int]]:
    """Endless inputs: seeds with bytes turned, cut, doubled, and tokens put in."""
    draw = random.Random(seed)
    while True:
        content = bytearray(draw.choice(SEEDS))
        for _ in range(draw.randrange(1, 7)):
            at = draw.randrange(len(content) + 1)
            action = draw.randrange(5)
            if action == 0:
                content[at:at] = draw.choice(TOKENS)
            elif action == 1:
                content[at : at + draw.randrange(1, 9)] = draw.choice(TOKENS)
            elif action == 2:
                del content[at : at + draw.randrange(1, 20)]
            elif action == 3 and at < len(content):
                content[at] = draw.randrange(256)
            else:
                content[at:at] = content[draw.randrange(len(content) + 1) :][:30]
        yield bytes(content[:300]), draw.randrange(1 << 8)


def main() -> int:
    """Run as many inputs as asked; 1 and the input when one fails."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--atheris", action="store_true", help="guided by coverage")
    arguments, rest = parser.parse_known_args()
    logging.disable(logging.CRITICAL)
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        os.environ["RECEXP_CACHE"] = os.environ.get("RECEXP_CACHE", folder)
        readers = Readers(Path(folder))
        if arguments.atheris:
            import atheris

            def one(data: bytes) -> None:
                if data:
                    readers.check(data[1:], data[0])

            atheris.instrument_all()
            atheris.Setup([sys.argv[0], *rest], one)
            atheris.Fuzz()
        start = time.perf_counter()
        for number, (content, choice) in zip(
            range(arguments.inputs), mutations(arguments.seed), strict=False
        ):
            try:
                readers.check(content, choice)
            except BaseException:
                print(f"input {number}, choice {choice}: {content!r}", file=sys.stderr)
                raise
            if number % 10_000 == 9_999:
                print(f"{number + 1:,} inputs in {time.perf_counter() - start:.0f} s", flush=True)
        print(f"{arguments.inputs:,} inputs: {readers.outcomes}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
