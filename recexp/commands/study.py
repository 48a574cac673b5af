"""`recexp study`: run a study and write its results."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

_EPILOG = """\
A study is a folder: README.md (question, command, findings), study.yaml (question, steps, metric),
perhaps analysis.py (tables of its own), and the results that this command writes.

examples:
  recexp study experiments/which_split            what is missing of it, then its tables
  recexp study experiments/which_split --short    a smaller form, in another folder"""


def main(argv: list[str]) -> int:
    """Run a study and print its tables; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="recexp study",
        description="Run the steps of a study that are missing, and write its tables and report.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="of the study")
    parser.add_argument("--short", action="store_true", help="the short form")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="where results are written (the folder; with --short outputs/NAME-short)",
    )
    parser.add_argument("--format", choices=["table", "json"], default="table")
    parser.add_argument("-q", "--quiet", action="store_true", help="no log lines on stderr")
    arguments = parser.parse_args(argv)

    from recexp.commands.run import log_to_stderr
    from recexp.study.definition import read_study
    from recexp.study.study import run_study

    log_to_stderr(quiet=arguments.quiet)
    study = read_study(arguments.folder, short=arguments.short)
    usual = Path("outputs") / f"{study.name}-short" if arguments.short else study.folder
    result = run_study(study, arguments.output or usual)
    print(json.dumps(result.document()) if arguments.format == "json" else result)
    return 1 if result.failed else 0
