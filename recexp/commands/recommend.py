"""`recexp recommend`: what a fitted model recommends, to some users or to all."""

from __future__ import annotations

import argparse
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recexp.commands.run import log_to_stderr

if TYPE_CHECKING:
    from recexp.fitted import FittedModel
    from recexp.writeback.batches import Sink

_DESCRIPTION = """\
Recommend with the fitted model of a run: to some users, with titles and reasons, or to all of them,
into a file or a database. An unknown user gets the most popular items."""

_EPILOG = """\
RUN is the id of a run, the beginning of one, its name, or the folder of a run with tracking=none.

examples:
  recexp recommend 653a2f55 --user 196
  recexp recommend 653a2f55 --user 196 --user 22 -k 5 --format json
  recexp recommend 653a2f55 --all-users --output recs.parquet
  recexp recommend 653a2f55 --all-users -k 50 --output recs.csv
  recexp recommend 653a2f55 --all-users --output postgresql://me@host/shop --table recs

--format json prints {"user", "source", "items": [{"item", "rank", "score", "title", "reasons"}]}, a
list of these for several users.

--all-users goes on where it was interrupted when it is started again with the same options. The
columns are user_id, item_id, rank, score, source. A password does not belong into a URL that others
may see: it is read from RECEXP_SQL_PASSWORD, or by the driver (PGPASSWORD, ~/.pgpass)."""


def main(argv: list[str]) -> int:
    """Recommend; return the exit code."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.all_users != (arguments.output is not None):
        parser.error("--all-users and --output go together")
    log_to_stderr(quiet=arguments.quiet)
    return _to_all(arguments) if arguments.all_users else _to_some(arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="recexp recommend",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", metavar="RUN")
    whom = parser.add_mutually_exclusive_group(required=True)
    whom.add_argument("--user", action="append", metavar="ID", help="to this user (repeatable)")
    whom.add_argument("--all-users", action="store_true", help="to all, into --output")
    parser.add_argument("-k", type=int, default=10, metavar="K", help="items each (10)")
    seen = parser.add_mutually_exclusive_group()
    seen.add_argument(
        "--exclude-seen",
        action="store_true",
        default=True,
        help="leave out what the user has in training (the default)",
    )
    seen.add_argument(
        "--include-seen", dest="exclude_seen", action="store_false", help="do not leave it out"
    )
    parser.add_argument(
        "--output", metavar="TARGET", help="FILE.parquet, FILE.csv or an SQLAlchemy URL"
    )
    parser.add_argument(
        "--table", default="recommendations", metavar="NAME", help="in a database (recommendations)"
    )
    parser.add_argument("--replace", action="store_true", help="remove what --output holds first")
    parser.add_argument(
        "--batch-size", type=int, default=20_000, metavar="N", help="users in a batch (20000)"
    )
    parser.add_argument("--format", choices=["table", "json"], default="table")
    parser.add_argument(
        "--trust", action="append", default=[], metavar="PACKAGE", help="load models of PACKAGE"
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="no log lines on stderr")
    return parser


def _to_some(arguments: argparse.Namespace) -> int:
    _, model = _load(arguments)
    ids = model.train.users.parse(arguments.user)
    documents = recommendations(model, ids, arguments.k, exclude_seen=arguments.exclude_seen)
    if arguments.format == "json":
        print(json.dumps(documents[0] if len(documents) == 1 else documents))
    else:
        print("\n\n".join(_shown(model, one) for one in documents))
    return 0


def recommendations(
    model: FittedModel, user_ids: Sequence[Any], k: int, *, exclude_seen: bool = True
) -> list[dict[str, Any]]:
    """Return for each distinct user the JSON document of the command: items, titles, reasons."""
    lists = model.lists(user_ids, k, exclude_seen=exclude_seen)
    documents = []
    for user, items, scores, source in zip(
        lists.user_ids, lists.items.tolist(), lists.scores.tolist(), lists.sources, strict=True
    ):
        found = [
            {
                "item": model.train.items.ids[item],
                "rank": rank,
                "score": score,
                "title": model.title(item),
                "reasons": model.reasons(user, item, source),
            }
            for rank, (item, score) in enumerate(zip(items, scores, strict=True), start=1)
            if item >= 0 and math.isfinite(score)
        ]
        # Features are the model's way to know a user, as his history is.
        named = "model" if source == "features" else source
        documents.append({"user": user, "source": named, "items": found})
    return documents


def _shown(model: FittedModel, document: Mapping[str, Any]) -> str:
    """A document as text, under the profile of its user."""
    from recexp.profiling.users import profile_users
    from recexp.reporting.profile_text import user_table
    from recexp.reporting.tables import align

    user = int(model.train.users.to_idx([document["user"]])[0])
    if user < 0:
        about = f"user {document['user']}: unknown to training"
    else:
        about = user_table(profile_users(model.train).of(user))
    rows = [
        [f"{one['rank']:>4}", f"{one['score']:.4g}", str(one["item"])] for one in document["items"]
    ]
    table = align([["rank", "score", "item"], *rows]).splitlines()
    texts = ["", *(_because(one) for one in document["items"])]
    lines = [f"{row}  {text}".rstrip() for row, text in zip(table, texts, strict=True)]
    return "\n".join([about, "", f"recommended by {document['source']}", *lines])


def _because(item: Mapping[str, Any]) -> str:
    reasons = "; ".join(reason["text"] for reason in item["reasons"])
    title = item["title"] or ""
    return f"{title}   because: {reasons}" if reasons else title


def _to_all(arguments: argparse.Namespace) -> int:
    from recexp.writeback.batches import Job, write_all

    sink = _sink(arguments.output, arguments.table)
    run, model = _load(arguments)
    n_users = model.train.n_users
    job = Job(run, arguments.k, arguments.exclude_seen, n_users, arguments.batch_size)
    done = write_all(model, sink, job, replace=arguments.replace, threads=os.cpu_count() or 1)
    where = getattr(sink, "where", arguments.output)
    document = {
        "run": run,
        "output": str(where),
        "n_users": done.n_users,
        "n_batches": done.n_batches,
        "n_batches_before": done.n_before,
    }
    if arguments.format == "json":
        print(json.dumps(document))
    else:
        before = f", {done.n_before:,} of {done.n_batches:,} batches were there"
        print(f"{done.n_users:,} users in {where}{before if done.n_before else ''}")
    return 0


def _sink(output: str, table: str) -> Sink:
    from recexp.errors import ConfigError
    from recexp.writeback.files import FileSink
    from recexp.writeback.sql import SqlSink

    if "://" in output:
        return SqlSink(output, table)
    path = Path(output)
    if path.suffix.lower() not in (".parquet", ".csv"):
        raise ConfigError(
            f"--output {output}: expected a name in .parquet or .csv, or an SQLAlchemy URL"
        )
    return FileSink(path)


def _load(arguments: argparse.Namespace) -> tuple[str, FittedModel]:
    from recexp.artifact import load
    from recexp.tracking.records import RunReader
    from recexp.tracking.store import find_model

    reader = RunReader()
    run, folder = find_model(arguments.run, reader)
    return run, load(folder, arguments.trust)
