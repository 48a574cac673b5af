"""The command line: `python -m recexp COMMAND ...`, also installed as `recexp`."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Sequence

import recexp

# Modules are named, not imported: `--help` must answer at once.
COMMANDS = {
    "run": "run an experiment, or with -m a sweep of them, and record it in MLflow",
    "tune": "search hyperparameters on validation data, then test the best once",
    "compare": "compare recorded runs: intervals, significance, against a baseline",
    "report": "write an experiment as one HTML page",
    "reproduce": "run a recorded run again and say what is the same",
    "replay": "test, then learn, over a stream of events in time",
    "study": "run a study: a folder with a question, runs and findings",
    "evaluate": "measure recommendation lists made by any system",
    "recommend": "recommend with a run's model: to some users, or to all",
    "serve": "serve a run's model over HTTP, with a page: answers follow feedback at once",
    "data": "fetch, check or describe a dataset",
    "verify": "measure published figures again and say match or not",
    "list": "show the datasets, algorithms, splits and metrics there are",
}

_HELP = """\
usage: recexp COMMAND ...      (also: python -m recexp COMMAND ...)

Recommender-systems experiments: one line runs, measures honestly and records.

commands:
{commands}

  recexp COMMAND --help   what a command takes
  recexp --version        the version

examples:
  recexp run algo=lightfm dataset=movielens       a hybrid model on MovieLens-100K
  recexp run algo=svd split=random seed=1         any part can be chosen, any key set
  recexp run -m algo=popularity,svd,lightfm       a sweep: one run each
  recexp list algo                                what there is

Runs are kept in MLFLOW_TRACKING_URI, else in mlflow.db in this folder (see them: mlflow ui).
Data is cached in RECEXP_CACHE, else in your platform's cache folder.
Exit codes: 0 fine, 1 a run failed, 2 your input needs a change, 130 interrupted."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return the exit code; results go to stdout, everything else to stderr."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    name = arguments[0] if arguments else "--help"
    if name in ("-h", "--help", "help"):
        lines = [f"  {command:8}  {text}" for command, text in COMMANDS.items()]
        print(_HELP.format(commands="\n".join(lines)))
        return 0
    if name == "--version":
        print(f"recexp {recexp.__version__}")
        return 0
    if name not in COMMANDS:
        from recexp.errors import did_you_mean

        print(f"recexp: no command '{name}'{did_you_mean(name, COMMANDS)}", file=sys.stderr)
        return 2
    return _guarded(importlib.import_module(f"recexp.commands.{name}").main, arguments[1:])


def _guarded(command: Callable[[list[str]], int], arguments: list[str]) -> int:
    """Run a command; tell what the user can mend in one line, without a traceback."""
    from recexp.errors import RecexpError, redacted
    from recexp.lifecycle import Terminated, termination_raises

    try:
        with termination_raises():
            code = command(arguments)
            sys.stdout.flush()
            return code
    except RecexpError as error:
        print(f"recexp: {redacted(str(error))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("recexp: interrupted", file=sys.stderr)
        return 130
    except Terminated as signal:
        print(f"recexp: stopped by {signal}", file=sys.stderr)
        return 130
    except (
        BrokenPipeError
    ):  # the reader has seen enough (`| head`); flushing at exit would fail too
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


if __name__ == "__main__":
    sys.exit(main())
