"""The page of `recexp serve`: one HTML text that needs nothing but the API beside it."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files

SCRIPTS = ("dom", "api", "place", "people", "cards", "profile", "lists", "page")
"""The parts of the page's one script, in their order."""


def page() -> tuple[str, str]:
    """Return the page, with its style and script inlined, and its Content-Security-Policy.

    The policy allows the style and the script of this very text, requests to the server that it
    came from, and no HTML made from data (trusted types).
    """
    folder = files("recexp.serving") / "static"

    def text(name: str) -> str:
        return (folder / name).read_text(encoding="utf-8")

    style = text("page.css")
    script = "\n".join(text(f"{name}.js") for name in SCRIPTS)
    html = text("page.html").replace("{{ style }}", style).replace("{{ script }}", script)
    policy = (
        "default-src 'none'",
        f"script-src '{_hash(script)}'",
        f"style-src '{_hash(style)}'",
        "connect-src 'self'",
        "img-src 'self' data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
    return html, "; ".join(policy)


def _hash(text: str) -> str:
    """The hash of an inlined text, as a policy names it."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
