"""A comparison in Markdown, LaTeX and JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from typing import Any

from recexp.evaluation.pairs import Pairs
from recexp.evaluation.significance import Comparison
from recexp.reporting.comparison import (
    RunComparison,
    against_title,
    caption,
    comparison_text,
    cost_columns,
    cost_text,
    difference_text,
    letter,
    letters,
    p_text,
    users_text,
    value_text,
)


def markdown(found: RunComparison) -> str:
    """Return the comparison in GitHub's Markdown: best in bold, letters raised."""
    parts = []
    for title, rows in _tables(found, _markdown_value, _escaped):
        parts += [f"**{_escaped(title)}**", _markdown_table(rows)]
    parts.insert(2, f"*{caption(found)}*")
    parts.append(f"**{_escaped(found.verdict)}**")
    return "\n\n".join([*parts, *(f"Note: {_escaped(note)}" for note in found.notes)])


def latex(found: RunComparison) -> str:
    r"""Return the tables of the comparison for LaTeX; they need `\usepackage{booktabs}`."""
    titled = _tables(found, _latex_value, _latex_text)
    titles = [title for title, _ in titled]
    titles[0] += f": {caption(found)}"
    tables = [
        _latex_table(rows, f"{title}.") for title, (_, rows) in zip(titles, titled, strict=True)
    ]
    remarks = [f"% {note}".replace("\n", " ") for note in (found.verdict, *found.notes)]
    return "\n\n".join(["\n".join(remarks), *tables])


def document(found: RunComparison) -> dict[str, Any]:
    """Return the comparison as plain JSON values; what is not finite is null."""
    rows = []
    for i, run in enumerate(found.runs):
        metrics: dict[str, Any] = {}
        for table in (*found.metrics, *found.segments):
            one = table.estimates[i]
            metrics[one.key] = _finite(one.value)
            metrics[f"{one.key}_ci_low"] = _finite(one.ci_low)
            metrics[f"{one.key}_ci_high"] = _finite(one.ci_high)
        rows.append(
            {
                "letter": letter(i),
                "run_id": run.run_id,
                "run_name": run.name,
                "label": run.label,
                "algo": run.algo,
                "rating_source": "calibrated" if run.calibrated else "predicted",
                "metrics": metrics | dict(run.costs),
            }
        )
    base = found.baseline
    return {
        "title": found.title,
        "n_users": {table.metric: table.n_users for table in (*found.metrics, *found.segments)},
        "runs": rows,
        "comparisons": [
            _pair(found, table, one, i, j)
            for table in (*found.metrics, *found.segments)
            for (i, j), one in table.comparisons.items()
        ],
        "baseline": None if base is None else found.runs[base].run_id,
        "verdict": found.verdict,
        "notes": list(found.notes),
    }


def _json(found: RunComparison) -> str:
    return json.dumps(document(found))


FORMATS: dict[str, Callable[[RunComparison], str]] = {
    "table": comparison_text,
    "markdown": markdown,
    "latex": latex,
    "json": _json,
}
"""What renders a comparison, by the name of the format."""


def _pair(found: RunComparison, table: Pairs, one: Comparison, i: int, j: int) -> dict[str, Any]:
    numbers = {
        name: _finite(getattr(one, name))
        for name in ("difference", "ci_low", "ci_high", "p_value", "p_holm", "effect_size")
    }
    counts = {"wins": one.wins, "ties": one.ties, "losses": one.losses, "n_users": one.n_users}
    runs = {"a": found.runs[i].run_id, "b": found.runs[j].run_id}
    return {"metric": table.metric, **runs, **numbers, **counts}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


Row = list[str]
Value = Callable[[RunComparison, Pairs, int], str]
Escape = Callable[[str], str]


def _tables(found: RunComparison, value: Value, escape: Escape) -> list[tuple[str, list[Row]]]:
    """Title and cells of every table: all metrics, differences to the baseline, segments."""
    costs = cost_columns(found)
    names = [[letter(i), escape(run.label)] for i, run in enumerate(found.runs)]
    rows = [["", "run", *(escape(one.metric) for one in found.metrics), *costs.values()]]
    for i, run in enumerate(found.runs):
        cells = [value(found, table, i) for table in found.metrics]
        rows.append([*names[i], *cells, *(cost_text(run.costs.get(name)) for name in costs)])
    tables = [(f"{found.title}, {found.metrics[0].n_users:,} users", rows)]
    for table in found.metrics:
        if found.baseline is not None and table.comparisons:
            title = against_title(found, table)
            tables.append((title, _differences(table, found.baseline, names, escape)))
    if found.segments:
        parts = [f"{one.metric.rpartition('/')[0]} ({one.n_users:,})" for one in found.segments]
        rows = [["", "run", *map(escape, parts)]]
        for i, name in enumerate(names):
            rows.append([*name, *(value(found, table, i) for table in found.segments)])
        tables.append((f"{found.metrics[0].metric} by segment (users)", rows))
    return tables


def _differences(table: Pairs, base: int, names: Sequence[Row], escape: Escape) -> list[Row]:
    titles = ["difference", "d_z", "p (Holm)", "better/equal/worse users"]
    rows = [["", "run", *map(escape, titles)]]
    for i, name in enumerate(names):
        if i != base:
            one = table.between(i, base)
            effect, p = f"{one.effect_size:+.2f}", escape(p_text(one.p_holm))
            rows.append([*name, difference_text(one), effect, p, users_text(one)])
    return rows


def _markdown_value(found: RunComparison, table: Pairs, i: int) -> str:
    value, space, interval = value_text(found, table, i).partition(" ")
    value = f"**{value}**" if i in table.best() else value
    marks = letters(table.beaten_by(i))
    return f"{value}{f'<sup>{marks}</sup>' if marks else ''}{space}{interval}"


def _markdown_table(rows: Sequence[Row]) -> str:
    header, *others = rows
    rule = ["---", "---", *("---:" for _ in header[2:])]
    return "\n".join("| " + " | ".join(row) + " |" for row in (header, rule, *others))


def _escaped(text: str) -> str:
    """Text that means itself in Markdown and the HTML that it may hold."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(f"\\{c}" if c in "\\`*_[]#|~" else c for c in text).replace("\n", " ")


_LATEX = {
    **{c: f"\\{c}" for c in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "\n": " ",
}


def _latex_text(text: str) -> str:
    return "".join(_LATEX.get(c, c) for c in text)


def _latex_value(found: RunComparison, table: Pairs, i: int) -> str:
    value, _, interval = value_text(found, table, i).partition(" ")
    value = rf"\textbf{{{value}}}" if i in table.best() else value
    marks = letters(table.beaten_by(i))
    raised = rf"$^{{\mathrm{{{marks}}}}}$" if marks else ""
    return f"{value}{raised}" + (rf" {{\scriptsize {interval}}}" if interval else "")


def _latex_table(rows: Sequence[Row], text: str) -> str:
    header, *others = [" & ".join(row) + r" \\" for row in rows]
    columns = "ll" + "r" * (len(rows[0]) - 2)
    body = [r"\toprule", header, r"\midrule", *others, r"\bottomrule"]
    lines = [r"\begin{table}", r"\centering", rf"\caption{{{_latex_text(text)}}}"]
    lines += [rf"\begin{{tabular}}{{{columns}}}", *body, r"\end{tabular}", r"\end{table}"]
    return "\n".join(lines)
