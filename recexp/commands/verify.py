"""`recexp verify`: measures published figures again and says match or not."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recexp.reference import Target

log = logging.getLogger("recexp.verify")

_DESCRIPTION = """\
Run published experiments again and compare our figures with theirs. A NAME is a target
(surprise/svd), a table of them (surprise) or all; without names, the quick ones run.
Overrides go to every run, as for `recexp run`: tracking=none, dataset.path=DIR, ..."""

_EPILOG = """\
A target whose data is not there, or which is too large for this machine, is skipped. Exit code:
0 when nothing differs (what is skipped does not count), 1 when a figure differs or a run fails.
Your own tables: --config-dir DIR with DIR/reference/*.yaml.
examples:
  recexp verify                          the quick ones, about a minute
  recexp verify surprise                 Surprise's table on MovieLens-100K
  recexp verify gowalla --data DIR       with DIR/gowalla/train.txt and test.txt
  recexp verify --list                   what there is, and what it needs"""


def main(argv: list[str]) -> int:
    """Verify targets and print the verdicts; return the exit code."""
    arguments = _parser().parse_intermixed_args(argv)
    from recexp.reference import choose, targets

    overrides = [one for one in arguments.names if "=" in one]
    names = [one for one in arguments.names if "=" not in one]
    everything = arguments.list and not arguments.tier
    names = names or (["all"] if everything else [])
    chosen = choose(targets(arguments.config_dir), names, arguments.tier or ())
    if arguments.list:
        print(_listed(chosen, arguments.format))
        return 0
    _log_to_stderr(quiet=arguments.quiet)
    # The recorder imports MLflow while the first target composes, loads and fits.
    if not any(one.startswith("tracking=") for one in overrides):
        from recexp.tracking.mlflow_tracker import recorder

        recorder()
    from recexp.verify import Verification, verify

    verdicts = []
    for number, target in enumerate(chosen, 1):
        log.info("%s of %s: %s ...", number, len(chosen), target.name)
        verdict = verify(
            target, data=arguments.data, overrides=overrides, config_dir=arguments.config_dir
        )
        log.info("%s: %s", target.name, verdict.status)
        verdicts.append(verdict)
    found = Verification(tuple(verdicts))
    print(json.dumps(found.document()) if arguments.format == "json" else found)
    return 0 if found.agrees else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="recexp verify",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="targets, tables, or KEY=VALUE")
    parser.add_argument(
        "--tier",
        action="append",
        choices=["quick", "slow", "heavy"],
        help="only those of this cost (may be repeated)",
    )
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder of published files")
    parser.add_argument("--config-dir", type=Path, metavar="DIR", help="your own tree of options")
    parser.add_argument("--list", action="store_true", help="show the targets, run nothing")
    parser.add_argument(
        "--format", choices=["table", "json"], default="table", help="of the result"
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="no log lines on stderr")
    return parser


def _listed(chosen: Sequence[Target], form: str) -> str:
    if form == "json":
        from dataclasses import asdict

        return json.dumps([asdict(target) for target in chosen])
    from recexp.reporting.tables import align

    rows = [
        [
            target.name,
            target.tier,
            " ".join(f"{metric} {figure.value:.4g}" for metric, figure in target.published.items()),
            f"--data: {target.files.folder}" if target.files else "",
            target.source,
        ]
        for target in chosen
    ]
    return align([["target", "tier", "published", "needs", "source"], *rows])


def _log_to_stderr(*, quiet: bool) -> None:
    """Show which target is under way, and of the runs only what they warn of."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.getLogger("recexp")
    logger.handlers[:] = [handler]
    logger.setLevel(logging.WARNING)
    log.setLevel(logging.WARNING if quiet else logging.INFO)
