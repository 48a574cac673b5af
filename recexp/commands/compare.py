"""`recexp compare`: recorded runs side by side, tested against each other."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

_EPILOG = """\
The best value of a column has a *. Letters name the rows that a row is significantly better than:
paired permutation test over users, p-values corrected by Holm over all comparisons of the table.
Runs on other data or another split are refused. The last line says whether the best run beats the
best simple algorithm among them.

examples:
  recexp compare --experiment recexp
  recexp compare 653a2f55 popularity-movielens-temporal --metric ndcg@10 --metric recall@20
  recexp compare --filter "params.dataset = 'movielens' and params.split = 'temporal'" --segments
  recexp compare --experiment recexp --baseline ease --format latex --output table.tex"""


def main(argv: list[str]) -> int:
    """Compare runs and print the comparison, or write it to a file."""
    parser = argparse.ArgumentParser(
        prog="recexp compare",
        description="Compare recorded runs on the same test users.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "runs", nargs="*", metavar="RUN", help="an id, the beginning of one, or a run's name"
    )
    parser.add_argument("--experiment", metavar="NAME", help="its finished runs, or where RUNs are")
    parser.add_argument("--filter", metavar="F", help="in MLflow's language: params.algo = 'svd'")
    parser.add_argument(
        "--metric",
        action="append",
        metavar="M",
        help="such as ndcg@10; several allowed, the first decides the order (default: the runs' "
        "objective)",
    )
    parser.add_argument(
        "--baseline",
        metavar="RUN",
        help="a run or algorithm to show differences to (default: the best simple one)",
    )
    parser.add_argument("--segments", action="store_true", help="also warm and cold users, ...")
    parser.add_argument("--format", choices=["table", "markdown", "latex", "json"], default="table")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write there, print nothing")
    arguments = parser.parse_intermixed_args(argv)

    from recexp.comparison import compare
    from recexp.reporting.comparison_formats import FORMATS

    found = compare(
        *arguments.runs,
        experiment=arguments.experiment,
        filter=arguments.filter,
        metrics=arguments.metric,
        baseline=arguments.baseline,
        segments=arguments.segments,
    )
    text = FORMATS[arguments.format](found)
    if arguments.output is not None:
        _write(arguments.output, text)
    elif arguments.format == "table" and sys.stdout.isatty():
        print(re.sub(r"(\*-?[\d.]+)", "\033[1m\\1\033[0m", text))
    else:
        print(text)
    return 0


def _write(path: Path, text: str) -> None:
    from recexp.errors import StorageError

    try:
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise StorageError(f"{path} cannot be written ({error.strerror or error})") from error
    print(f"written  {path}", file=sys.stderr)
