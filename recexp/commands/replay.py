"""`recexp replay`: test, then learn, over a stream of events."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

_DESCRIPTION = """\
Replay a stream of events in the order of time: for every event the list of its user is made with
what was learned by then, and only then the event is learned from. Says how good the lists were in
each window of time, and what scoring and learning cost. Recorded in MLflow like any run."""

_EPILOG = """\
keys:      those of `recexp run` but split (and what goes with it), and
           policy=NAME            how the model follows the stream (required):
                                  static       it stays as it is
                                  fold_in      users are answered by all they have done
                                  incremental  it learns from every event
                                  refit        it is fitted anew, once a day
           warmup_fraction=0.5    of the dataset, fitted on before the stream begins
           n_windows=10 | window=7d   windows of the result, by events or by time
           delay=0s               an event is learned from so much later (30s, 5m, 1h, 1d)
           refit_every=1d         time between refits; beside fold_in and incremental: both
           update_every=1         of incremental: events between updates
           max_events=N           end after so many events
           source=dataset         or - (JSON lines on standard input), kafka://HOST:PORT/TOPIC:
                                  after the whole dataset, {"user": 1, "item": 2, "value": 5}
           idle_seconds=60        of a topic: end when nothing came for so long
           log_every=1000         of these: a line of figures after so many events
examples:
  recexp replay algo=als dataset=movielens policy=fold_in
  recexp replay algo=als dataset=movielens policy=refit refit_every=1d window=7d
  recexp replay algo=popularity dataset=movielens policy=incremental delay=1h
  tail -f events.jsonl | recexp replay algo=als dataset=movielens policy=incremental source=-"""


def main(argv: list[str]) -> int:
    """Replay, and print what was found; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="recexp replay",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="algo=als, policy=refit")
    parser.add_argument("--config-dir", type=Path, metavar="DIR", help="your own tree of options")
    parser.add_argument("--format", choices=["table", "json"], default="table")
    parser.add_argument("-q", "--quiet", action="store_true", help="no log lines on stderr")
    arguments = parser.parse_intermixed_args(argv)
    if not any(one.startswith("tracking=") for one in arguments.overrides):
        from recexp.tracking.mlflow_tracker import recorder

        recorder()  # imports MLflow while this process composes, loads and fits

    from recexp.commands.run import log_to_stderr
    from recexp.replay.run import replay

    log_to_stderr(quiet=arguments.quiet)
    result = replay(*arguments.overrides, config_dir=arguments.config_dir)
    print(json.dumps(result.document()) if arguments.format == "json" else result)
    return 0
