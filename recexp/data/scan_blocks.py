"""A file's blocks into segments: whole rows, worked on by several threads, in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue

from recexp.data.rows import LINE_END, LONG, parse_row
from recexp.data.segments import Coder, Layout, Segment
from recexp.data.text import TextFile


class Workers:
    """Threads that turn blocks into segments, each with a coder of its own."""

    def __init__(self, coders: Sequence[Coder], pool: ThreadPoolExecutor) -> None:
        self._free: SimpleQueue[Coder] = SimpleQueue()
        for coder in coders:
            self._free.put(coder)
        self.n_threads = len(coders)
        self._pool = pool

    def work(self, data: bytes, last: bool) -> tuple[list[Segment], int]:
        """Return the segments of a block, by the next coder that is free."""
        coder = self._free.get()
        try:
            return coder.segments(data, last)
        finally:
            self._free.put(coder)

    def start(self, data: bytes) -> Future[tuple[list[Segment], int]]:
        """Start on a block of whole rows."""
        return self._pool.submit(self.work, data, True)


def segments_of(file: TextFile, layout: Layout, workers: Workers) -> Iterator[Segment]:
    """Yield the segments of a file in order; the first stands for the header, if there is one."""
    quote = layout.dialect.quote
    ahead: deque[Future[tuple[list[Segment], int]]] = deque()
    carry, skipping, header = b"", False, layout.has_header

    def ready(n_left: int) -> Iterator[Segment]:
        while len(ahead) > n_left:
            yield from ahead.popleft().result()[0]

    for block, last in _with_last(file.blocks()):
        data = carry + block if carry else block
        carry = b""
        if skipping:
            end = LINE_END.search(data)
            if end is None:
                continue
            data, skipping = data[end.end() :], False
        if header:
            row = parse_row(data, 0, layout.dialect, 0, last)
            if row is None:
                carry = data
                continue
            yield Segment(n_lines=row.lines)
            data, header = data[row.size :], False
        cut = len(data) if last else data.rfind(b"\n") + 1
        if cut and not (quote and quote in data):
            ahead.append(workers.start(data[:cut]))
            carry = data[cut:]
            yield from ready(2 * workers.n_threads)
            continue
        # Where quotes are, only reading shows which line ends are ends of rows.
        yield from ready(0)
        segments, used = workers.work(data, last)
        yield from segments
        carry = data[used:]
        long = bool(segments[-1].bad) and segments[-1].bad[-1][1] == LONG
        skipping = long and not carry and not last and data[-1] not in b"\r\n"
    yield from ready(0)


def _with_last(blocks: Iterator[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Yield each block, and whether it is the last."""
    held: bytes | None = None
    for block in blocks:
        if held is not None:
            yield held, False
        held = block
    if held is not None:
        yield held, True
