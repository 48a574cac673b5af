"""What real time gains over nightly refits, and what both cost."""

from __future__ import annotations

from collections.abc import Mapping

from recexp.evaluation.saved import read_per_user
from recexp.evaluation.significance import compare, correct
from recexp.reporting.comparison import p_text
from recexp.study.definition import Rows
from recexp.study.found import Found
from recexp.tracking.records import RunRecord

_SEGMENTS = ("warm_users", "cold_users")


def tables(found: Found) -> Mapping[str, Rows]:
    """Return each way to follow the stream against the nightly refit of its algorithm, and costs.

    Differences are paired over the users; p-values are of the permutation test, Holm-corrected
    over the table.
    """
    return {"Against nightly refits": _differences(found), "Costs": _costs(found)}


def _differences(found: Found) -> Rows:
    pairs = [
        (run, nightly)
        for nightly in found.runs
        if nightly.params["stream.policy"] == "refit"
        for run in found.runs
        if run.params["algo"] == nightly.params["algo"] and run is not nightly
    ]
    metrics = [found.metric, *(f"{segment}/{found.metric}" for segment in _SEGMENTS)]
    compared = []
    for run, nightly in pairs:
        columns = read_per_user([found.file(run), found.file(nightly)], metrics)
        compared.append([compare(*columns, metric) for metric in metrics])
    whole = correct([one[0] for one in compared])
    rows: Rows = [
        [
            *("algo", "policy", found.metric, "of the refit", "difference [95 % interval]"),
            *("p", "users better, equal, worse"),
            *(f"{segment.replace('_', ' ')}: difference" for segment in _SEGMENTS),
        ]
    ]
    for (run, _), one, parts in zip(pairs, whole, compared, strict=True):
        rows.append(
            [
                *(run.params["algo"], policy(run), f"{one.value_a:.3f}", f"{one.value_b:.3f}"),
                f"{one.difference:+.3f} [{one.ci_low:+.3f}, {one.ci_high:+.3f}]",
                *(p_text(one.p_holm), f"{one.wins}, {one.ties}, {one.losses}"),
                *(f"{p.difference:+.3f} [{p.ci_low:+.3f}, {p.ci_high:+.3f}]" for p in parts[1:]),
            ]
        )
    return rows


def _costs(found: Found) -> Rows:
    rows: Rows = [
        [
            *("algo", "policy", "a list: p50, p99 ms", "an update: p50, p99 ms"),
            *("updates in all, s", "refits", "a refit: p50 s", "refits in all, s"),
        ]
    ]
    for run in found.runs:
        m = run.metrics

        def quantiles(what: str, m: Mapping[str, float] = m) -> str:
            ends = [m.get(f"time/{what}_{name}_ms") for name in ("p50", "p99")]
            return ", ".join("–" if one is None else f"{one:.2f}" for one in ends)

        refits = int(m.get("stream/refits", 0))
        rows.append(
            [
                *(run.params["algo"], policy(run), quantiles("score")),
                *(quantiles("update"), f"{m.get('time/update_seconds', 0):.1f}", str(refits)),
                f"{m['time/refit_p50_ms'] / 1000:.2f}" if refits else "–",
                f"{m['time/refit_seconds']:.1f}" if refits else "–",
            ]
        )
    return rows


def policy(run: RunRecord) -> str:
    """Return in words how a run followed the stream."""
    params = run.params
    words = [params["stream.policy"]]
    if params["stream.policy"] != "refit" and "stream.refit_every" in params:
        words.append("and nightly refit")
    if params.get("stream.update_every", "1") != "1":
        words.append(f"every {params['stream.update_every']} events")
    if (delay := params["stream.delay"]) != "0s":
        words.append(f"after {delay}")
    return " ".join(words)
