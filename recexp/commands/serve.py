"""`recexp serve`: recommendations over HTTP, and a page, from models that follow feedback."""

from __future__ import annotations

import argparse
import logging
import os
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recexp.commands.run import log_to_stderr

if TYPE_CHECKING:
    from recexp.serving.served import Served

_DESCRIPTION = """\
Serve the fitted model of a run: recommendations, feedback and profiles over HTTP, and a page for
people. Answers follow feedback at once. It is kept in a store from which the model catches up at
the next start."""

_EPILOG = """\
RUN is the id of a run, the beginning of one, its name, or the folder of a run with tracking=none.

policies:
  fold_in      a user who did something is answered from the whole history; the model stays
  incremental  the model learns the events, a moment after they came
  static       the model stays; what users have met is left out
  auto         the first of these that the algorithm can (the default)

examples:
  recexp serve 653a2f55
  recexp serve 653a2f55 --beside 1fa09c31 --refit-every 1h
  recexp serve 653a2f55 --policy incremental --events postgresql://me@host/shop
  RECEXP_TOKEN=secret recexp serve 653a2f55 --host 0.0.0.0 --rate 20

http://HOST:PORT/docs says what can be asked. Without --events, feedback is kept in
outputs/events-RUN.db. A password does not belong into a URL that others may see: it is read from
RECEXP_SQL_PASSWORD. Ctrl-C finishes what is being answered and ends."""

log = logging.getLogger(__name__)


def main(argv: list[str]) -> int:
    """Serve until somebody stops it; return the exit code."""
    arguments = _parser().parse_args(argv)
    log_to_stderr(quiet=arguments.quiet)
    if not 0 <= arguments.port < 2**16:
        _parser().error("--port: expected a number from 0 to 65535")
    with _bound(arguments.host, arguments.port) as bound:
        return _serve(arguments, bound)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="recexp serve",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("run", metavar="RUN")
    add("--beside", metavar="RUN", help="another run to compare with, over the same events")
    add("--host", default="127.0.0.1", help="where to listen (127.0.0.1: this machine only)")
    add("--port", type=int, default=8000, help="(8000; 0: any free one)")
    add("--token", help="what clients must send as bearer token; better in RECEXP_TOKEN")
    add("--events", metavar="URL", help="where feedback is kept: sqlite:///FILE, postgresql://...")
    add("--policy", default="auto", help="auto, fold_in, incremental or static (auto)")
    add("--refit-every", metavar="WHEN", help="fit anew beside it: 30m, 1h, 1d, or 500 (events)")
    add("--rate", type=float, metavar="N", help="events per second that a client may send")
    add(
        "--allowed-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a name that this server goes by (repeatable; * for any)",
    )
    add("--trust", action="append", default=[], metavar="PACKAGE", help="load models of PACKAGE")
    add("-q", "--quiet", action="store_true", help="only warnings on stderr")
    return parser


def _serve(arguments: argparse.Namespace, bound: socket.socket) -> int:
    from threadpoolctl import threadpool_limits

    from recexp.errors import ConfigError
    from recexp.serving.app import application
    from recexp.serving.server import run
    from recexp.streaming.store import EventStore

    if arguments.rate is not None and not 0 < arguments.rate < 1e9:
        raise ConfigError(f"--rate {arguments.rate:g}: expected a number of events above 0")
    token = arguments.token or os.environ.get("RECEXP_TOKEN") or None
    served = _load(arguments)
    store = EventStore(arguments.events or _usual_store(served[0]))
    # One question at a time: threads would wait for one another.
    with store.writing(), threadpool_limits(1, user_api="blas"):
        _warn(arguments.host, token)

        def ready(error: Exception | None) -> None:
            if error is None:
                n_events = served[0].live.histories.n_events
                log.info("events    %s (%s there)", store.where, f"{n_events:,}")
                print(f"recexp serves {_url(arguments.host, bound)}", file=sys.stderr, flush=True)

        return run(
            lambda on_ready: application(
                served,
                store,
                access=_access(arguments, token),
                rate=arguments.rate,
                on_ready=on_ready,
            ),
            bound,
            ready,
        )


def _load(arguments: argparse.Namespace) -> list[Served]:
    from recexp.artifact import load
    from recexp.serving.policies import RefitEvery
    from recexp.serving.served import Served, check_together, find
    from recexp.tracking.records import RunReader

    refit_every = RefitEvery.parse(arguments.refit_every) if arguments.refit_every else None
    reader = RunReader()
    runs = [find(run, reader, arguments.trust) for run in (arguments.run, arguments.beside) if run]
    names = [one.name for one in runs]
    served = []
    for run in runs:
        model = load(run.folder, arguments.trust)
        name = run.name if names.count(run.name) == 1 else run.short
        served.append(
            Served(run, model, name=name, policy=arguments.policy, refit_every=refit_every)
        )
        log.info("model     %s: %s", name, served[-1].updates)
    check_together(served)
    return served


def _usual_store(served: Served) -> str:
    from recexp.config import Frame
    from recexp.recording import output_folder

    folder = output_folder(Path(Frame.output_dir))
    return f"sqlite:///{folder / f'events-{served.run.short}.db'}"


def _access(arguments: argparse.Namespace, token: str | None) -> Any:
    from recexp.serving.security import LOOPBACK, Access

    hosts = {*LOOPBACK, *(name.lower() for name in (arguments.host, *arguments.allowed_host))}
    if _loopback(arguments.host):
        return Access(token, hosts)
    own = {socket.gethostname().lower(), socket.getfqdn().lower()}
    return Access(token, hosts | own, addresses=True)


def _bound(host: str, port: int) -> socket.socket:
    """A socket bound to an address; it does not listen yet."""
    from recexp.errors import ConfigError

    try:
        family, kind, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise ConfigError(f"--host {host}: no address of this machine ({error.strerror})") from None
    bound = socket.socket(family, kind)
    try:
        if os.name == "posix":
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        # Ports of listeners alone are refused to others, so that this must be one.
        bound.listen(0)
    except OSError as error:
        bound.close()
        raise ConfigError(
            f"--port {port}: cannot listen on {host} ({error.strerror}); give another --port"
        ) from None
    return bound


def _loopback(host: str) -> bool:
    from ipaddress import ip_address

    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _url(host: str, bound: socket.socket) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{bound.getsockname()[1]}"


def _warn(host: str, token: str | None) -> None:
    if not _loopback(host) and token is None:
        log.warning(
            "WARNING: everybody who reaches %s can read what users did, and write events.\n"
            "WARNING: set RECEXP_TOKEN (or --token), or leave --host out to serve this machine "
            "only.",
            host,
        )
