"""`recexp run`: one experiment, or with `-m` a sweep of them."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recexp.config import Composed

_DESCRIPTION = """\
Run an experiment: load, split, fit, recommend, evaluate, record. Overrides are Hydra's:
GROUP=OPTION chooses a part, KEY=VALUE sets a key; with -m, commas make a sweep."""

_EPILOG = """\
groups:    dataset preprocess features split profiles algo tracking       (recexp list)
keys:      seed cutoffs metrics relevance_threshold positive_threshold exclude_seen candidates
           users objective threads plots experiment_name run_name output_dir
examples:
  recexp run algo=lightfm dataset=movielens
  recexp run algo=svd algo.n_factors=50 split=random split.test_fraction=0.1
  recexp run dataset=csv dataset.path=ratings.csv 'metrics=[ndcg@10,recall@20]'
  recexp run -m algo=popularity,svd,lightfm seed=1,2,3
  recexp run -m ... hydra/launcher=joblib         jobs in parallel: one process a core
  recexp run -m ... resume=true                   what was killed goes on
  recexp run --cfg algo=lightfm                   show what would run"""


def main(argv: list[str]) -> int:
    """Run one experiment or a sweep; return the exit code."""
    arguments = _parser().parse_intermixed_args(argv)
    if arguments.cfg:
        return _show(arguments)
    # The recorder imports MLflow while this process composes, loads and fits.
    # (A sweep starts its own, once it knows that it is alone.)
    untracked = any(one.startswith("tracking=") for one in arguments.overrides)
    if not untracked and not arguments.multirun:
        from recexp.tracking.mlflow_tracker import recorder

        recorder()
    log_to_stderr(quiet=arguments.quiet)
    if arguments.multirun:
        from recexp.sweep import run_sweep

        summary = run_sweep(arguments.overrides, arguments.config_dir)
        print(json.dumps(summary.document()) if arguments.format == "json" else summary)
        return 1 if summary.failed else 0
    from recexp.experiment import run_composed

    result = run_composed(_compose(arguments), arguments.config_dir)
    print(json.dumps(result.document()) if arguments.format == "json" else result)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="recexp run",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="algo=svd, seed=1, ...")
    parser.add_argument("-m", "--multirun", action="store_true", help="sweep over comma lists")
    parser.add_argument("--config-dir", type=Path, metavar="DIR", help="your own tree of options")
    parser.add_argument("--cfg", action="store_true", help="print the configuration, run nothing")
    parser.add_argument(
        "--format", choices=["table", "json"], default="table", help="of the result"
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="no log lines on stderr")
    return parser


def _compose(arguments: argparse.Namespace) -> Composed:
    from recexp.config import compose

    return compose(arguments.overrides, arguments.config_dir)


def _show(arguments: argparse.Namespace) -> int:
    from omegaconf import OmegaConf

    config: Any = _compose(arguments).config
    sys.stdout.write(OmegaConf.to_yaml(config))
    return 0


def log_to_stderr(*, quiet: bool) -> None:
    """Send the log lines of a run to stderr; only warnings when quiet."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.getLogger("recexp")
    logger.handlers[:] = [handler]
    logger.setLevel(logging.WARNING if quiet else logging.INFO)
