"""`recexp tune`: search hyperparameters on validation data, then test the best once."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

_DESCRIPTION = """\
Search the hyperparameters of an algorithm on validation data (a part of the training side), and
run the best once on the test data. The default configuration is trial 0. Stopped at any moment,
the same command goes on where it was."""

_EPILOG = """\
keys:      those of `recexp run`, and
           trials=N | seconds=S   the budget: trials that end, or seconds they take together
           n_jobs=K               worker processes (1)
           search=NAME            the search space, conf/search/NAME.yaml (that of the algorithm)
           search.KEY.low=V       a change to it; +search.KEY='{choices: [a, b]}', '~search.KEY'
           study=NAME             where trials are kept and found again (a name of what is searched)
           resume=false           refuse to go on with a study that exists
           prune=false            let all trials learn to the end
examples:
  recexp tune algo=lightfm dataset=movielens trials=30
  recexp tune algo=als seconds=120 n_jobs=2 search.n_factors.high=512
  recexp tune algo=ease trials=20 split@validation=random objective=recall@20"""


def main(argv: list[str]) -> int:
    """Search, test, and print what was found; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="recexp tune",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="algo=als, trials=30, ...")
    parser.add_argument("--config-dir", type=Path, metavar="DIR", help="your own tree of options")
    parser.add_argument("--format", choices=["table", "json"], default="table")
    parser.add_argument("-q", "--quiet", action="store_true", help="no log lines on stderr")
    arguments = parser.parse_intermixed_args(argv)

    from recexp.commands.run import log_to_stderr
    from recexp.tuning.tune import tune

    log_to_stderr(quiet=arguments.quiet)
    summary = tune(*arguments.overrides, config_dir=arguments.config_dir)
    print(json.dumps(summary.document()) if arguments.format == "json" else summary)
    return 0
