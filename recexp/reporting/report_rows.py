"""What JSON records of a run say, as names and values for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from recexp.reporting.report import spread

Rows = tuple[tuple[str, str], ...]


def audit_rows(audit: Mapping[str, Any] | None) -> Rows:
    """Return what a `split_audit.json` says, first what only its protocol does."""
    facts = dict(audit or {})
    protocol = facts.pop("protocol", {})
    own = {key: value for key, value in protocol.items() if key not in facts}
    own = {key: value for key, value in own.items() if not key.endswith("_seconds")}
    return tuple((key.replace("_", " "), _fact(key, value)) for key, value in (own | facts).items())


def _fact(key: str, value: Any) -> str:
    if isinstance(value, float) and key.endswith("share"):
        return f"{value:.2%}"
    return plain(value)


def plain(value: Any) -> str:
    """Return a JSON value as a person writes it."""
    if isinstance(value, Mapping):
        return "; ".join(f"{key} {plain(one)}" for key, one in value.items())
    if isinstance(value, list):
        return (", ".join(map(plain, value[:12])) or "none") + (", ..." if len(value) > 12 else "")
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def provenance_rows(found: Sequence[Mapping[str, Any]]) -> Rows:
    """Return what the `provenance.json` of several runs say, differing values side by side."""

    def of(key: str) -> list[Any]:
        return [one.get(key) for one in found]

    git = [one.get("git") or {} for one in found]
    pools = [
        f"{pool.get('internal_api')} {pool.get('version')}, {pool.get('num_threads')} threads"
        for one in found
        for pool in one.get("threadpools", [])
    ]
    variables = [f"{k}={v}" for one in found for k, v in one.get("environment", {}).items()]
    facts = [one.get("dataset_facts", {}) for one in found]
    rows = [
        ("recexp", spread(of("recexp"))),
        ("its code", spread([str(one or "")[:12] for one in of("recexp_sha256")])),
        ("git commit", spread([one.get("commit") for one in git]) or "not in a repository"),
        (
            "uncommitted changes",
            spread(["yes" if one.get("dirty") else "no" for one in git if one]),
        ),
        ("python", spread(of("python"))),
        ("platform", spread(of("platform"))),
        ("processor", spread(of("cpu"))),
        ("cores", spread(of("cores"))),
        ("threads", spread(of("threads"))),
        ("numerical libraries", spread(pools)),
        ("environment", spread(variables, most=12)),
        ("seed", spread(of("seed"))),
        ("data source", spread([one.get("source") for one in facts])),
        ("licence", spread([one.get("licence") for one in facts])),
        ("citation", spread([one.get("citation") for one in facts])),
        ("preprocessing", spread(["; ".join(one or ()) for one in of("preprocess")])),
        ("data fingerprint", spread(of("dataset_fingerprint"))),
        ("split fingerprint", spread(of("split_fingerprint"))),
        ("command", spread([" ".join(map(str, one or ())) for one in of("command")])),
    ]
    return tuple((name, text) for name, text in rows if text)
