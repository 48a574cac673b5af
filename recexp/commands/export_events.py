"""`recexp data export-events`: feedback as a dataset for the next experiment."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from recexp.commands.run import log_to_stderr

_DESCRIPTION = """\
Write the events of `recexp serve` to a file that is a dataset: columns user, item, rating (of data
with ratings), timestamp, kind."""

_EPILOG = """\
STORE is an SQLAlchemy URL (sqlite:///outputs/events-653a2f55.db), or an SQLite file. It may be in
use.

examples:
  recexp data export-events outputs/events-653a2f55.db --output events.csv
  recexp data export-events postgresql://me@host/shop --output events.parquet
  recexp data export-events outputs/events-653a2f55.db --with-training 653a2f55 --output more.csv
  recexp run algo=als dataset=csv dataset.path=more.csv

Beside ratings, a view is none and is left out, and so is what was dismissed; a like is the best
rating of the scale that --with-training tells. --kinds says otherwise."""


def main(argv: list[str]) -> int:
    """Export events; return the exit code."""
    from recexp.artifact import load
    from recexp.errors import ConfigError, did_you_mean
    from recexp.streaming.events import KINDS
    from recexp.streaming.export import export_events
    from recexp.streaming.store import EventStore
    from recexp.tracking.records import RunReader
    from recexp.tracking.store import find_model

    arguments = _parser().parse_args(argv)
    log_to_stderr(quiet=arguments.quiet)
    kinds = arguments.kinds.split(",") if arguments.kinds else None
    for kind in kinds or ():
        if kind not in KINDS:
            raise ConfigError(f"--kinds {kind}{did_you_mean(kind, KINDS)}")
    url = arguments.store if "://" in arguments.store else f"sqlite:///{arguments.store}"
    train = None
    if arguments.with_training:
        reader = RunReader()
        train = load(find_model(arguments.with_training, reader)[1], arguments.trust).train
    done = export_events(EventStore(url), arguments.output, train=train, kinds=kinds)
    if arguments.format == "json":
        document = {"output": str(arguments.output), "rows": done.rows, "left_out": done.left_out}
        print(json.dumps(document | {"ratings": done.ratings}))
        return 0
    print(f"{sum(done.rows.values()):,} rows in {arguments.output}: {_listed(done.rows)}")
    if done.left_out:
        print(f"left out: {_listed(done.left_out)}")
    return 0


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{n:,} {kind}" for kind, n in counts.items())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="recexp data export-events",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("store", metavar="STORE")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help=".csv, .parquet")
    parser.add_argument(
        "--with-training", metavar="RUN", help="write what the model was trained on first"
    )
    parser.add_argument("--kinds", metavar="A,B", help="view, like, rating, dismiss")
    parser.add_argument(
        "--trust", action="append", default=[], metavar="PACKAGE", help="load models of PACKAGE"
    )
    parser.add_argument("--format", choices=["table", "json"], default="table")
    parser.add_argument("-q", "--quiet", action="store_true", help="no log lines on stderr")
    return parser
