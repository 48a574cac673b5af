"""`recexp data`: get a dataset, profile it, say what is wrong with it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recexp.commands.run import log_to_stderr

if TYPE_CHECKING:
    from recexp.data.dataset import Dataset
    from recexp.data.preprocess import StepReport
    from recexp.plan import Plan
    from recexp.splits.base import Protocol

_DESCRIPTION = """\
Get a dataset, profile it, or say what is wrong with it, before any experiment.

  fetch     download it into the cache (RECEXP_CACHE, else your platform's cache folder)
  check     what was read, rejected and repaired, what looks wrong, and what a run would do
  describe  sizes, ratings, long tail, time, cold starts, what each split would leave

  export-events  the feedback of `recexp serve` as a dataset (see `export-events --help`)"""

_EPILOG = """\
DATASET is one of `recexp list dataset`; overrides are those of `recexp run`.

examples:
  recexp data fetch movielens dataset.variant=1m
  recexp data check csv dataset.path=ratings.csv
  recexp data describe csv dataset.path=ratings.csv --output profile.html
  recexp data describe movielens preprocess=k_core --output plots/
  recexp data describe movielens --user 196

exit codes: 0 fine; 1 `check`: a run with these overrides would fail; 2 your input needs a change"""

_FETCH_FACTS = ("source", "url", "homepage", "path", "sha256", "licence", "citation")


def main(argv: list[str]) -> int:
    """Fetch, check or describe a dataset, or export events; return the exit code."""
    if argv[:1] == ["export-events"]:
        from recexp.commands import export_events

        return export_events.main(argv[1:])
    arguments = _parser().parse_intermixed_args(argv)
    log_to_stderr(quiet=arguments.quiet)
    if arguments.action != "describe" and (arguments.user or arguments.output):
        from recexp.errors import ConfigError

        raise ConfigError(f"data {arguments.action} takes no --user and no --output")
    return {"fetch": _fetch, "check": _check, "describe": _describe}[arguments.action](arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="recexp data",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("action", choices=["fetch", "check", "describe"])
    parser.add_argument("dataset", metavar="DATASET", help="movielens, csv, parquet, sql, ...")
    parser.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="dataset.path=..., ...")
    parser.add_argument(
        "--user", action="append", metavar="ID", help="describe this user (repeatable)"
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="PATH",
        help="describe: a folder for plots (PNG), or a .html file for the whole profile",
    )
    parser.add_argument("--format", choices=["table", "json"], default="table")
    parser.add_argument("--config-dir", type=Path, metavar="DIR", help="your own tree of options")
    parser.add_argument("-q", "--quiet", action="store_true", help="no log lines on stderr")
    return parser


def _fetch(arguments: argparse.Namespace) -> int:
    from recexp.data.cache import cache_folder

    dataset = _plan(arguments).load()
    facts = {name: dataset.facts[name] for name in _FETCH_FACTS if dataset.facts.get(name)}
    document = {
        "dataset": dataset.name,
        "n_interactions": len(dataset.interactions),
        "n_users": dataset.n_users,
        "n_items": dataset.n_items,
        "cache": str(cache_folder()),
        **facts,
    }
    downloads = dataset.facts.get("downloads", {})
    if arguments.format == "json":
        print(json.dumps(document | {"downloads": downloads}, default=str))
        return 0
    document |= {file: f"{one['url']} ({one['checksum']})" for file, one in downloads.items()}
    width = max(map(len, document))
    for name, value in document.items():
        print(f"{name:{width}}  {f'{value:,}' if isinstance(value, int) else value}")
    return 0


def _check(arguments: argparse.Namespace) -> int:
    import time

    from recexp.data.checks import findings
    from recexp.errors import RecexpError
    from recexp.profiling.checks import check_content
    from recexp.profiling.survey import suggest, survey

    plan = _plan(arguments)
    raw = plan.load()
    found = [*findings(raw), *check_content(raw, time.time())]
    found.sort(key=lambda one: one.level != "problem")
    chosen = plan.names["split"]
    steps: list[StepReport] = []
    fails = None
    surveyed: dict[str, dict[str, Any]] = {}
    try:
        dataset, steps = _prepared(plan, raw)
    except RecexpError as error:
        fails = str(error)
    else:
        surveyed = survey(dataset, _protocols(arguments) | {chosen: plan.split}, plan.seed)
        if not surveyed[chosen]["possible"]:
            fails = surveyed[chosen]["why"]
        elif not surveyed[chosen]["evaluated_users"]:
            fails = f"split={chosen} leaves no user with a relevant test item"
    document = {
        "dataset": raw.name,
        "facts": dict(raw.facts),
        "findings": [asdict(one) for one in found],
        "steps": [str(step) for step in steps],
        "splits": surveyed,
        "suggested_split": suggest(surveyed),
        "would_fail": fails,
    }
    if arguments.format == "json":
        print(json.dumps(document, default=str))
    else:
        print(_checked(document, [f"{one.level:8} {one}" for one in found]))
    return 0 if fails is None else 1


def _describe(arguments: argparse.Namespace) -> int:
    from recexp.profiling.dataset import profile
    from recexp.profiling.survey import survey
    from recexp.reporting.profile_text import profile_table, split_table

    plan = _plan(arguments)
    dataset, steps = _prepared(plan, plan.load())
    if arguments.user:
        return _users(arguments, dataset)
    described = dataset
    for step in plan.features.values():
        described = step(described)
    found = profile(described)
    surveyed = survey(dataset, _protocols(arguments), plan.seed)
    written = _write(arguments.output, found, surveyed, dataset.facts)
    if arguments.format == "json":
        document = {
            "dataset": dataset.name,
            "facts": dict(dataset.facts),
            "steps": [str(step) for step in steps],
            "profile": found,
            "splits": surveyed,
            "files": [str(path) for path in written],
        }
        print(json.dumps(document, default=str))
        return 0
    done = [f"after {step}" for step in steps if step.before != step.after]
    print("\n".join([dataset.name, *done, "", profile_table(found), "", split_table(surveyed)]))
    for path in written:
        print(f"written  {path}")
    return 0


def _users(arguments: argparse.Namespace, dataset: Dataset) -> int:
    from recexp.errors import DataError
    from recexp.profiling.users import profile_users
    from recexp.reporting.profile_text import user_table

    profiles = profile_users(dataset)
    users = dataset.users.to_idx(dataset.users.parse(arguments.user)).tolist()
    for text, user in zip(arguments.user, users, strict=True):
        if user < 0:
            raise DataError(
                f"{dataset.name} has no user {text!r} (after preprocessing); its ids are like "
                f"{dataset.users.ids[0]!r}"
            )
    found = [profiles.of(user) for user in users]
    if arguments.format == "json":
        print(json.dumps(found[0] if len(found) == 1 else found))
    else:
        print("\n\n".join(map(user_table, found)))
    return 0


def _plan(arguments: argparse.Namespace) -> Plan:
    from recexp.config import compose
    from recexp.plan import plan

    overrides = [f"dataset={arguments.dataset}", "tracking=none", *arguments.overrides]
    return plan(compose(overrides, arguments.config_dir), arguments.config_dir)


def _prepared(plan: Plan, raw: Dataset) -> tuple[Dataset, list[StepReport]]:
    """The dataset as a run would split it."""
    from dataclasses import replace

    from recexp.data.preprocess import apply
    from recexp.rng import derive

    dataset, steps = apply(raw, plan.steps, derive(plan.seed, "preprocess"))
    threshold = plan.frame.relevance_threshold
    if threshold is not None and dataset.explicit:
        dataset = replace(dataset, relevance_threshold=threshold)
    return dataset, steps


def _protocols(arguments: argparse.Namespace) -> dict[str, Protocol]:
    """Every split there is, with its defaults; those that read files of their own are left out."""
    import inspect

    from recexp import build
    from recexp.config import compose, options

    found: dict[str, Protocol] = {}
    for name in options("split", arguments.config_dir):
        node = build.plain(compose([f"split={name}"], arguments.config_dir).config.split)
        node.pop("save", None)
        protocol = build.bind(node, "split", given=("dataset", "rng"))
        if "path" not in inspect.signature(protocol.func).parameters:
            found[name] = protocol
    return found


def _write(
    output: Path | None,
    profile: Mapping[str, Any],
    surveyed: Mapping[str, Mapping[str, Any]],
    facts: Mapping[str, Any],
) -> list[Path]:
    """Write the plots, or the page; return the files."""
    from recexp.errors import StorageError
    from recexp.reporting.profile_page import profile_page
    from recexp.reporting.profile_plots import write_plots

    if output is None:
        return []
    try:
        if output.suffix.lower() in (".html", ".htm"):
            output.parent.mkdir(parents=True, exist_ok=True)
            output.write_text(profile_page(profile, surveyed, facts), encoding="utf-8")
            return [output]
        return write_plots(profile, output)
    except OSError as error:
        reason = error.strerror or error
        raise StorageError(
            f"--output {output} cannot be written ({reason}); give another"
        ) from error


def _checked(document: Mapping[str, Any], found: Sequence[str]) -> str:
    from recexp.reporting.profile_text import split_table

    lines = [document["dataset"], "", *(found or ["nothing looks wrong"])]
    lines += ["", "a run would do"]
    lines += [f"  {step}" for step in document["steps"]] or ["  no preprocessing"]
    if document["splits"]:
        lines += ["", split_table(document["splits"])]
    suggested = document["suggested_split"]
    lines += ["", f"suggested split={suggested}" if suggested else "no split leaves a user to test"]
    if document["would_fail"]:
        lines.append(f"a run with these choices would fail: {document['would_fail']}")
    return "\n".join(lines)
