"""The text of the page: whole, allowed by its own policy, and with nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from importlib.resources import files

import pytest

from recexp.serving.page import SCRIPTS, page

VOID = {"meta", "link", "input", "img", "br", "hr"}


class Outline(HTMLParser):
    """Elements with their attributes, and the raw texts of styles and scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.raw: dict[str, list[str]] = {"style": [], "script": []}
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] in self.raw:
            self.raw[self._open[-1]].append(data)


@pytest.fixture(scope="module")
def html() -> str:
    return page()[0]


@pytest.fixture(scope="module")
def outline(html: str) -> Outline:
    return Outline(html)


@pytest.fixture(scope="module")
def policy() -> dict[str, str]:
    return dict(part.split(" ", 1) for part in page()[1].split("; "))


@pytest.mark.parametrize("kind", ["style", "script"])
def test_the_policy_allows_exactly_the_inlined_text(
    kind: str, outline: Outline, policy: dict[str, str]
) -> None:
    texts = outline.raw[kind]
    assert len(texts) == 1
    digest = base64.b64encode(hashlib.sha256(texts[0].encode()).digest()).decode()
    assert policy[f"{kind}-src"] == f"'sha256-{digest}'"


def test_the_policy_allows_nothing_else(policy: dict[str, str]) -> None:
    rest = {name: value for name, value in policy.items() if "sha256" not in value}
    assert rest == {
        "default-src": "'none'",
        "connect-src": "'self'",
        "img-src": "'self' data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }


def test_nothing_is_loaded_from_elsewhere(html: str, outline: Outline) -> None:
    assert not re.search(r"https?:|[\"'(=]//\w|url\(|@import", html)
    loaded = [
        value
        for tag, attributes in outline.elements
        for name, value in attributes.items()
        if name in ("src", "srcset", "data", "action") or (name == "href" and tag == "link")
    ]
    assert len(loaded) == 1  # its icon
    assert str(loaded[0]).startswith("data:image/png;base64,")


def test_no_handler_or_style_stands_in_an_attribute(outline: Outline) -> None:
    names = {name for _, attributes in outline.elements for name in attributes}
    assert not {name for name in names if name.startswith("on") or name == "style"}


def test_data_never_becomes_markup(outline: Outline) -> None:
    script = outline.raw["script"][0]
    for word in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "Function(",
    ):
        assert word not in script


def test_every_part_is_in_the_page_once(html: str) -> None:
    folder = files("recexp.serving") / "static"
    names = {path.name for path in folder.iterdir()}
    assert names == {"page.html", "page.css", *(f"{name}.js" for name in SCRIPTS)}
    for name in names - {"page.html"}:
        assert html.count((folder / name).read_text(encoding="utf-8")) == 1
    assert "{{" not in html


def test_the_script_finds_every_element_that_it_names(outline: Outline) -> None:
    ids = [attributes["id"] for _, attributes in outline.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    script = outline.raw["script"][0]
    named = set(re.findall(r'byId\("([\w-]+)"\)', script))
    made = set(re.findall(r'id: "([\w-]+)"|choice\(\s*"([\w-]+)"', script))
    assert named
    assert named <= set(ids) | {name for pair in made for name in pair}


def test_labels_and_references_point_at_elements(outline: Outline) -> None:
    ids = {attributes.get("id") for _, attributes in outline.elements}
    for _, attributes in outline.elements:
        for name in ("for", "aria-labelledby", "aria-controls", "aria-describedby"):
            if name in attributes:
                assert attributes[name] in ids
