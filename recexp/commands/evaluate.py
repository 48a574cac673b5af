"""`recexp evaluate`: the common evaluator on lists made elsewhere."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recexp.evaluation.external import ExternalEvaluation

_IDS = ("user", "user_id", "item", "item_id")


def main(argv: list[str]) -> int:
    """Evaluate lists and print their metrics and what was assumed."""
    arguments = _parser().parse_args(argv)
    found = _evaluate(arguments)
    if arguments.format == "json":
        metrics = {one.key: _finite(one.value) for one in found.evaluation.table}
        intervals = {
            f"{one.key}_ci_{end}": _finite(value)
            for one in found.evaluation.table
            for end, value in (("low", one.ci_low), ("high", one.ci_high))
        }
        document = {"metrics": metrics, "intervals": intervals, "assumptions": found.assumptions}
        print(json.dumps(document))
    else:
        print(_table(found))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="recexp evaluate",
        description="Measure recommendation lists made by any system, by recexp's definitions.",
        epilog="Files are CSV with a header, or Parquet. Columns: user, item and rating (test, "
        "train), rank or score (lists); user_id, item_id and value are understood too.",
    )
    parser.add_argument("--test", type=Path, required=True, metavar="F", help="test interactions")
    parser.add_argument("--recommendations", type=Path, required=True, metavar="F", help="lists")
    parser.add_argument("--train", type=Path, metavar="F", help="training: allows segments")
    parser.add_argument("--cutoffs", default="5,10,20", metavar="K,K", help="default 5,10,20")
    parser.add_argument("--metrics", metavar="M,M", help="such as ndcg@10,recall (recexp list)")
    parser.add_argument(
        "--relevance-threshold", type=float, metavar="V", help="rating from which an item counts"
    )
    parser.add_argument("--seed", type=int, default=42, help="of ties and intervals")
    parser.add_argument("--format", choices=["table", "json"], default="table")
    return parser


def _evaluate(arguments: argparse.Namespace) -> ExternalEvaluation:
    from recexp.data.columns import read_columns, whole_numbers
    from recexp.errors import ConfigError
    from recexp.evaluation.external import evaluate_lists

    try:
        cutoffs = [int(text) for text in arguments.cutoffs.split(",")]
    except ValueError as error:
        raise ConfigError(f"--cutoffs {arguments.cutoffs}: expected numbers like 5,10") from error
    paths = {"test": arguments.test, "recommendations": arguments.recommendations}
    if arguments.train is not None:
        paths["train"] = arguments.train
    tables = {name: read_columns(path, _IDS) for name, path in paths.items()}
    for side in ("user", "item"):
        keys = {name: _id_column(table, side) for name, table in tables.items()}
        named = {name: key for name, key in keys.items() if key is not None}
        ids = whole_numbers([tables[name][key] for name, key in named.items()])
        for (name, key), column in zip(named.items(), ids, strict=True):
            tables[name][key] = column
    return evaluate_lists(
        tables["test"],
        tables["recommendations"],
        tables.get("train"),
        metrics=None if arguments.metrics is None else arguments.metrics.split(","),
        cutoffs=cutoffs,
        relevance_threshold=arguments.relevance_threshold,
        seed=arguments.seed,
    )


def _id_column(table: Mapping[str, object], side: str) -> str | None:
    return next((name for name in (side, f"{side}_id") if name in table), None)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _table(found: ExternalEvaluation) -> str:
    from recexp.reporting.tables import align, estimate_text

    rows = [["metric", "mean [95 % interval]", "users"]]
    rows += [
        [f"{one.segment}/{one.metric}".lstrip("/"), estimate_text(one), f"{one.n_users:,}"]
        for one in found.evaluation.table
    ]
    notes = [f"assumed  {note}" for note in found.assumptions]
    return "\n".join([align(rows), "", *notes])
