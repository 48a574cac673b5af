"""`recexp report`: an experiment as one self-contained HTML page."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def main(argv: list[str]) -> int:
    """Write the page of an experiment."""
    parser = argparse.ArgumentParser(
        prog="recexp report",
        description="Write everything an experiment recorded as one HTML page that needs nothing "
        "else: tables with intervals and tests, plots, tuning, data, provenance, checklist.",
        epilog="The question on top is the experiment's description in MLflow.",
    )
    parser.add_argument("--experiment", required=True, metavar="NAME", help="whose runs")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="such as r.html")
    arguments = parser.parse_args(argv)

    from recexp.errors import StorageError
    from recexp.page import report

    page = report(arguments.experiment)
    try:
        arguments.output.write_text(page, encoding="utf-8")
    except OSError as error:
        reason = error.strerror or error
        raise StorageError(f"{arguments.output} cannot be written ({reason})") from error
    print(f"written  {arguments.output} ({len(page.encode()) / 1e6:.1f} MB)", file=sys.stderr)
    return 0
