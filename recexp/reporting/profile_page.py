"""A data profile as one self-contained HTML page."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from recexp.reporting.profile_plots import TITLES, profile_plots
from recexp.reporting.profile_text import SPLIT_NOTE, profile_rows, split_rows


def profile_page(
    profile: Mapping[str, Any],
    surveyed: Mapping[str, Mapping[str, Any]],
    facts: Mapping[str, Any],
) -> str:
    """Return the page: numbers, plots, what each split leaves, and where the data came from."""
    name = escape(str(profile["name"]))
    pairs = [[escape(key), escape(value)] for key, value in profile_rows(profile)]
    plots = [
        f'<figure><img alt="{TITLES[key]}" src="data:image/png;base64,{_png(figure)}">'
        f"<figcaption>{TITLES[key]}</figcaption></figure>"
        for key, figure in profile_plots(profile).items()
    ]
    head, *rows = split_rows(surveyed)
    impossible = [
        f"<li><b>{escape(key)}</b>: {escape(one['why'])}</li>"
        for key, one in surveyed.items()
        if not one["possible"]
    ]
    known = [(key, facts[key]) for key in _FACTS if facts.get(key)]
    parts = [
        f"<h1>{name}</h1>",
        _table(pairs, ()),
        f'<div class="plots">{"".join(plots)}</div>',
        "<h2>What each split would leave</h2>",
        _table([[escape(cell) for cell in row] for row in rows], head),
        f"<p>{escape(SPLIT_NOTE)}</p>",
        f"<p>Not possible:</p><ul>{''.join(impossible)}</ul>" if impossible else "",
        "<h2>Where it came from</h2>" if known else "",
        _table([[escape(key), escape(str(value))] for key, value in known], ()) if known else "",
    ]
    return _PAGE.format(title=name, style=_STYLE, body="\n".join(filter(None, parts)))


_FACTS = ("source", "path", "url", "query", "sha256", "licence", "citation")


def _table(rows: Sequence[Sequence[str]], head: Sequence[str]) -> str:
    heading = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join(
        f"<tr><th>{row[0]}</th>{''.join(f'<td>{cell}</td>' for cell in row[1:])}</tr>"
        for row in rows
    )
    kind = "numbers" if head else "pairs"
    top = f"<thead><tr>{heading}</tr></thead>" if head else ""
    return f'<div class="wide"><table class="{kind}">{top}<tbody>{body}</tbody></table></div>'


def _png(figure: Any) -> str:
    file = io.BytesIO()
    figure.savefig(file, dpi=130, metadata={"Software": None})
    return base64.b64encode(file.getvalue()).decode()


_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}: data profile</title>
<style>{style}</style>
</head>
<body><main>
{body}
</main></body>
</html>
"""

_STYLE = """
body { margin: 0; font: 15px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff; }
main { max-width: 68rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.6rem; margin: .5rem 0 1rem; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(26rem, 100%), 1fr)); }
figure { margin: .5rem; } img { width: 100%; height: auto; }
figcaption { text-align: center; color: #555; font-size: .9rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; }
th, td { padding: .25rem .75rem .25rem 0; text-align: left; vertical-align: top; }
th { font-weight: normal; }
.pairs th { color: #555; white-space: nowrap; } .pairs td { overflow-wrap: anywhere; }
.numbers td, .numbers thead th:not(:first-child) { text-align: right; }
.numbers thead th { color: #555; border-bottom: 1px solid #bbb; white-space: nowrap; }
.numbers td { font-variant-numeric: tabular-nums; }
p, li { color: #333; font-size: .9rem; }
@media print { main { max-width: none; } figure { break-inside: avoid; } }
"""
