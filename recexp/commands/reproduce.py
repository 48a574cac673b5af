"""`recexp reproduce`: a recorded run made again and compared, number by number."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recexp.reproduction import Reproduced, Reproduction

_EPILOG = """\
Data and split are compared first, by fingerprint; when one differs nothing is fitted. A metric is
identical (to the last digit), within noise (the users' paired differences average within 4
standard errors of 0; without per-user values: within 1 %), or different. Time and memory are not
compared. Exit code: 0 when nothing is different, else 1."""

_SHOWN = 20


def main(argv: list[str]) -> int:
    """Reproduce a run; return 0 when nothing is different, else 1."""
    parser = argparse.ArgumentParser(
        prog="recexp reproduce",
        description="Run a recorded run again from its record, and say what is the same.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", metavar="RUN", help="an id, the beginning of one, or a run's name")
    parser.add_argument(
        "--tracking",
        choices=["mlflow", "none"],
        default="mlflow",
        help="record the rerun, tagged recexp.reproduces, in the same experiment (default), or not",
    )
    parser.add_argument(
        "--trust",
        action="append",
        default=[],
        metavar="PACKAGE",
        help="run code of this package if the record names it",
    )
    parser.add_argument("--config-dir", type=Path, metavar="DIR", help="your own tree of options")
    parser.add_argument("--format", choices=["table", "json"], default="table")
    parser.add_argument("-q", "--quiet", action="store_true", help="no log lines on stderr")
    arguments = parser.parse_args(argv)

    from recexp.commands.run import log_to_stderr
    from recexp.reproduction import reproduce

    log_to_stderr(quiet=arguments.quiet)
    found = reproduce(
        arguments.run,
        track=arguments.tracking == "mlflow",
        trusted=arguments.trust,
        config_dir=arguments.config_dir,
    )
    print(json.dumps(_document(found)) if arguments.format == "json" else _text(found))
    return 0 if found.same else 1


def _text(found: Reproduction) -> str:
    from recexp.reporting.tables import align
    from recexp.reproduction import VERDICTS

    environment = "; ".join(found.environment) or "the same, as far as it is recorded"
    lines = [f"run          {found.original}"]
    if found.other_data is not None:
        lines += [f"DIFFERENT    {found.other_data}", f"environment  {environment}"]
        return "\n".join([*lines, "Nothing was fitted: other data gives other numbers."])
    lines += ["data, split  the same", f"environment  {environment}"]
    counts = ", ".join(f"{found.count(one)} {one}" for one in VERDICTS)
    lines.append(f"metrics      {len(found.metrics)} compared: {counts}")
    # The different ones first; within a verdict in the order of the record.
    changed = [one for v in reversed(VERDICTS[1:]) for one in found.metrics if one.verdict == v]
    if changed:
        rows = [["metric", "recorded", "again", "difference", ""]]
        rows += [_row(one) for one in changed[:_SHOWN]]
        lines += ["", align(rows)]
        if len(changed) > _SHOWN:
            lines.append(f"... and {len(changed) - _SHOWN} more (--format json has all)")
        lines.append("")
    lines.append(f"result       {_result(found)}")
    return "\n".join(lines if found.run_id is None else [*lines, f"run id       {found.run_id}"])


def _result(found: Reproduction) -> str:
    if not found.same:
        return "DIFFERENT: the record is not confirmed"
    if found.count("within noise"):
        because = "" if found.environment else "; nothing recorded differs, so the algorithm varies"
        return f"the same within noise{because}"
    return "the same, to the last digit"


def _row(one: Reproduced) -> list[str]:
    numbers = [f"{one.recorded:.6g}", f"{one.again:.6g}", f"{one.again - one.recorded:+.2g}"]
    return [one.metric, *numbers, one.verdict]


def _document(found: Reproduction) -> dict[str, Any]:
    from recexp.reproduction import VERDICTS

    return {
        "reproduces": found.original.run_id,
        "run_id": found.run_id,
        "same": found.same,
        "other_data": found.other_data,
        "environment": list(found.environment),
        "counts": {one: found.count(one) for one in VERDICTS},
        "metrics": {
            one.metric: {
                "recorded": _finite(one.recorded),
                "again": _finite(one.again),
                "verdict": one.verdict,
            }
            for one in found.metrics
        },
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
