"""The documentation of the API as one HTML text: no script, nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from html import escape
from typing import Any

_STYLE = """\
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h2 { margin-top: 2.5rem; font-size: 1.1rem; overflow-wrap: anywhere; }
h2 b, code, pre { font-family: ui-monospace, monospace; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0; }
td:first-child { white-space: nowrap; }
tr + tr { border-top: 1px solid #8884; }
pre { overflow-x: auto; padding: .5rem; border: 1px solid #8884; }"""


def docs(document: Mapping[str, Any]) -> tuple[str, str]:
    """Return a page about an OpenAPI `document`, and its Content-Security-Policy."""
    parts = [
        _operation(method, path, operation, document)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    ]
    info = document["info"]
    html = (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(info['title'])} API</title><style>{_STYLE}</style></head><body><main>"
        f"<h1>{escape(info['title'])} API</h1><p>{escape(info['description'])} "
        'For programs: <a href="/openapi.json">openapi.json</a>; for Prometheus: '
        '<a href="/metrics">metrics</a>; for people: <a href="/">the page</a>.</p>'
        f"{''.join(parts)}</main></body></html>"
    )
    digest = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
    return html, policy


def _operation(
    method: str, path: str, operation: Mapping[str, Any], document: Mapping[str, Any]
) -> str:
    rows = [
        _row(one["name"], one["schema"], one.get("required", False), one["in"], document)
        for one in operation.get("parameters", ())
    ]
    body = operation.get("requestBody", {}).get("content", {}).get("application/json")
    for title, schema in _objects(body["schema"], document) if body else ():
        required = schema.get("required", ())
        rows += [
            _row(name, of, name in required, title, document)
            for name, of in schema.get("properties", {}).items()
        ]
    answers = "".join(
        f"<tr><td>{escape(status)}</td><td>{escape(one['description'])}</td></tr>"
        for status, one in sorted(operation["responses"].items())
    )
    table = (
        "<table><thead><tr><th>takes</th><th>in</th><th>what</th></tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table>"
    )
    return (
        f"<section><h2><b>{method.upper()}</b> <code>{escape(path)}</code></h2>"
        f"<p>{escape(operation['summary'])}.</p>{table if rows else ''}"
        f"<table><thead><tr><th>answers</th><th></th></tr></thead><tbody>{answers}</tbody></table>"
        "</section>"
    )


def _row(
    name: str, schema: Mapping[str, Any], required: bool, where: str, document: Mapping[str, Any]
) -> str:
    told = [_type(schema, document), schema.get("description", "")]
    if required:
        told.insert(0, "required")
    elif schema.get("default") is not None:
        told.append(f"default {schema['default']}")
    text = "; ".join(one for one in told if one)
    cells = "".join(f"<td>{escape(cell)}</td>" for cell in (where, text))
    return f"<tr><td><code>{escape(name)}</code></td>{cells}</tr>"


def _objects(
    schema: Mapping[str, Any], document: Mapping[str, Any]
) -> list[tuple[str, Mapping[str, Any]]]:
    """The objects that a schema allows, with their names."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return [(name, document["components"]["schemas"][name])]
    found = []
    for one in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        found += _objects(one, document)
    return found


def _type(schema: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    choices = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
    if choices:
        return " or ".join(_type(one, document) for one in choices if one.get("type") != "null")
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if "const" in schema:
        return str(schema["const"])
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'], document)}"
    text = str(schema.get("type", "any"))
    bounds = [
        f"{word} {schema[key]}"
        for key, word in (("minimum", "from"), ("maximum", "to"), ("maxLength", "at most"))
        if key in schema
    ]
    return " ".join([text, *bounds])
