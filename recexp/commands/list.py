"""`recexp list`: what there is, one line each."""

from __future__ import annotations

import argparse
from pathlib import Path

KINDS = ("dataset", "algo", "split", "metric", "preprocess", "features", "profiles")


def main(argv: list[str]) -> int:
    """Print the options of one kind, or of all."""
    parser = argparse.ArgumentParser(
        prog="recexp list", description="Show the datasets, algorithms, splits, ... there are."
    )
    parser.add_argument("kind", nargs="?", choices=KINDS, help="only these")
    parser.add_argument("--config-dir", type=Path, metavar="DIR", help="your own tree of options")
    arguments = parser.parse_args(argv)
    kinds = [arguments.kind] if arguments.kind else KINDS
    blocks = [_block(kind, arguments.config_dir) for kind in kinds]
    print("\n\n".join(blocks))
    return 0


def _block(kind: str, config_dir: Path | None) -> str:
    entries = _metrics() if kind == "metric" else _options(kind, config_dir)
    width = max(map(len, entries), default=0)
    return "\n".join([f"{kind}:", *(f"  {name:{width}}  {text}" for name, text in entries.items())])


def _options(group: str, config_dir: Path | None) -> dict[str, str]:
    from recexp.config import options

    return options(group, config_dir)


def _metrics() -> dict[str, str]:
    from recexp.evaluation.metrics import describe_metrics

    return describe_metrics()
