"""The page for everybody: names, headings, contrast, targets, on a desk and on a phone."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

CONTROLS = {
    *("button", "link", "textbox", "searchbox", "combobox", "checkbox", "radio", "spinbutton"),
    *("option", "radiogroup", "listbox", "DisclosureTriangle", "table"),
}

CONTRAST = Path(__file__).with_name("contrast.js").read_text(encoding="utf-8")

TARGETS = """
return [...document.querySelectorAll("a, button, input, select, summary, [role=option]")]
  .filter((one) => one.checkVisibility() && !one.matches(".skip"))
  .map((one) => [one, (one.closest("label") ?? one).getBoundingClientRect()])
  .filter(([, box]) => box.width < 40 || box.height < 39.5)
  .map(([one, box]) => `${one.outerHTML.slice(0, 80)} ${box.width} x ${box.height}`);
"""

HEADINGS = """
return [...document.querySelectorAll("h1, h2, h3, h4, h5, h6")]
  .filter((one) => one.checkVisibility()).map((one) => Number(one.tagName[1]));
"""


def start(page: Any) -> None:
    page.open()


def list_and_search(page: Any) -> None:
    page.open(user="u030")
    page.search("war")
    page.find(".card summary").click()
    page.find("header summary").click()
    page.act("rate-3", page.texts("[data-list=column-0] h4 bdi")[2])
    page.until(lambda: page.all(".cards details[open] li"))


def side_by_side(page: Any) -> None:
    page.open(user="u031", compare="popular", k="20")
    page.find("#user-input").send_keys("u0")
    page.until(lambda: page.all("#user-options [role=option]"))


def new_user(page: Any) -> None:
    page.open(user="nobody so far")


def nothing_left(page: Any) -> None:
    page.open(user="u032", filter=["genres:War", "year>=2020"])
    page.until(lambda: "Nothing is left" in page.text("#columns"))


def alert(page: Any) -> None:
    page.open(user="u033", k="9999")
    page.until(lambda: page.all("#alert button"))


def long_ids(page: Any) -> None:
    page.open(user="L" * 200, compare="popular")
    page.find("#user-input").send_keys("LLL")
    page.until(lambda: page.all("#user-options [role=option]"))


VIEWS = [start, list_and_search, side_by_side, new_user, nothing_left, alert, long_ids]


@pytest.fixture(scope="module", params=VIEWS, ids=lambda view: view.__name__)
def view(request: pytest.FixtureRequest, fresh_page: Callable[[], Any]) -> Any:
    """A page that somebody has brought to where there is something to see."""
    page = fresh_page()
    request.param(page)
    return page


def test_contrast_is_enough_by_day_and_by_night(view: Any) -> None:
    grounds = []
    for scheme in ("light", "dark"):
        view.screen(1280, 900, scheme=scheme)
        view.run("Promise.all(document.getAnimations().map(one => one.finished))")
        result = view.driver.execute_script(CONTRAST)
        assert result["checked"] > 10
        assert result["found"] == []
        grounds.append(view.run("getComputedStyle(document.body).backgroundColor"))
    assert len(set(grounds)) == 2


def test_contrast_that_is_too_low_is_found(page: Any) -> None:
    page.open()
    page.run("document.querySelector('.lede').style.setProperty('color', '#7b8490')")
    assert len(page.driver.execute_script(CONTRAST)["found"]) == 1


def test_it_fits_and_fingers_hit(view: Any) -> None:
    for width in (320, 360, 800, 1280):
        view.screen(width)
        assert view.fits()
        assert view.driver.execute_script(TARGETS) == []


def test_everything_has_a_name_and_headings_are_in_order(view: Any) -> None:
    nodes = view.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    there = [one for one in nodes if not one["ignored"]]
    role = [(one["role"]["value"], one.get("name", {}).get("value", "")) for one in there]
    controls = [one for one in role if one[0] in CONTROLS]
    assert len(controls) > 3
    assert [one for one in controls if not one[1].strip()] == []
    roles = [one[0] for one in role]
    for landmark in ("banner", "main", "search"):
        assert landmark in roles
    levels = view.driver.execute_script(HEADINGS)
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    ids = view.run("[...document.querySelectorAll('[id]')].map(one => one.id)")
    assert len(ids) == len(set(ids))
    assert view.run("document.documentElement.lang") == "en"


def test_buttons_are_told_apart_by_their_item(page: Any) -> None:
    page.open(user="u034")
    names = page.run("[...document.querySelectorAll('.act')].map(one => one.ariaLabel)")
    assert len(names) == 20
    assert len(set(names)) == 20
    assert all(one.startswith(("Like ", "Dismiss ")) for one in names)


def test_changes_are_announced_politely(page: Any) -> None:
    page.open(user="u036")
    page.act("like", page.texts("[data-list=column-0] h4 bdi")[0])
    nodes = page.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    status = [one for one in nodes if one.get("role", {}).get("value") == "status"]
    assert len(status) == 2
    properties = [{p["name"]: p["value"]["value"] for p in one["properties"]} for one in status]
    assert [one["live"] for one in properties] == ["polite"] * len(status)
    assert page.text("#status").startswith("Liked ")


def test_focus_is_visible(page: Any) -> None:
    page.open(user="u038")
    for name in ("user-input", "find-input", "filter-0", "like", "rate-1"):
        page.tab_to(name)
        style = page.run("getComputedStyle(document.activeElement).outlineWidth")
        assert float(style.removesuffix("px")) >= 2
    page.run("document.getElementById('who').focus()")
    page.keys("\ue004")
    assert page.focused() == "find-input"


def test_a_narrow_screen_has_a_way_to_the_profile(page: Any) -> None:
    page.screen(360)
    page.open(user="u040")
    page.find("#to-profile").click()
    assert page.focused() == "profile"
    assert page.run("scrollY") > 0
    page.screen(1280)
    assert not page.find("#to-profile").is_displayed()
