"""A child process that fits a model anew: `python -m recexp.streaming.refit`, spoken to in JSON.

One line in: the model folder, the store, the last event to learn from, the folder to write.
One line out: the sizes of what was learned, or why nothing was.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from recexp.algorithms.base import Recommender
from recexp.artifact import load, load_recommender, save
from recexp.child import start_child
from recexp.errors import RecexpError, StorageError
from recexp.lifecycle import die_with
from recexp.streaming.live import Learned, LiveModel
from recexp.streaming.store import EventStore


@dataclass(frozen=True)
class Refit:
    """A child at work: fits the model of `folder` on its training data and the first `seq` events.

    What it learned is written to `output`, a folder that is not there yet.
    """

    folder: Path
    trusted: Sequence[str]
    events: str
    seq: int
    output: Path

    def start(self) -> subprocess.Popen[str]:
        """Start the child; it ends with this process. Its answer is for `learned`."""
        order = {
            "folder": str(self.folder),
            "trusted": list(self.trusted),
            "events": self.events,
            "seq": self.seq,
            "output": str(self.output),
            "parent": os.getpid(),
        }
        child = start_child("recexp.streaming.refit")
        assert child.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # its answer says why
            child.stdin.write(json.dumps(order) + "\n")
            child.stdin.flush()
        return child

    def learned(self, child: subprocess.Popen[str]) -> Learned:
        """Wait for the child, and return what it learned as version 0.

        Raises StorageError, in one line, when it failed or was ended.
        """
        answer, _ = child.communicate()
        lines = answer.splitlines()
        said: dict[str, Any] = json.loads(lines[-1]) if lines else {}
        if "n_new" not in said:
            why = said.get("error", f"its process ended with {child.returncode}")
            raise StorageError(f"fitting anew failed: {why}")
        recommender: Recommender = load_recommender(self.output, self.trusted)
        return Learned(recommender, said["n_users"], said["n_items"], said["n_new"], version=0)


def main() -> None:
    """Do what the line on the standard input says."""
    order = json.loads(sys.stdin.readline())
    die_with(order["parent"], platform.node())
    if hasattr(os, "nice"):
        os.nice(19)  # requests come first
    out, sys.stdout = sys.stdout, sys.stderr
    said: dict[str, Any]
    try:
        said = _fit(order)
    except RecexpError as error:
        said = {"error": str(error)}
    except Exception as error:
        said = {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
    out.write(json.dumps(said) + "\n")
    out.flush()


def _fit(order: dict[str, Any]) -> dict[str, int]:
    model = load(Path(order["folder"]), order["trusted"])
    live = LiveModel(model)
    for seq, event in EventStore(order["events"]).read():
        if seq > order["seq"]:
            break
        live.take([event])
    learned = live.refitted()
    # The interactions stay with the one that asks, which has them.
    whole = live.histories.whole()
    none = whole.with_interactions(whole.interactions.select(np.empty(0, np.int64)))
    save(replace(model, recommender=learned.recommender, train=none), Path(order["output"]))
    return {"n_users": learned.n_users, "n_items": learned.n_items, "n_new": learned.n_new}


if __name__ == "__main__":
    main()
