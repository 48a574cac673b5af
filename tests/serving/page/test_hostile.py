"""The page against data and people that mean harm."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

ENTER, DOWN = "\ue007", "\ue015"


def test_hostile_ids_are_text_and_work(page: Any, hostile: str) -> None:
    page.open(user=hostile)
    assert page.text("#user-id") == hostile
    assert "21 items in the history" in page.text("#user-facts")
    title = page.titles()[0]
    page.act("like", title)
    assert page.text("#history .deed .title").startswith(title)
    page.find("#user-input").send_keys(hostile[:3].strip())
    page.until(lambda: hostile in page.texts("#user-options .id"))
    page.keys(DOWN, ENTER)
    page.settled()
    assert page.text("#user-id") == hostile
    assert page.is_safe()


def test_hostile_titles_are_text_and_work(page: Any, hostile_films: dict[str, str]) -> None:
    page.open(user="u020", filter="genres:Odd")
    assert {one.removesuffix(" (1999)") for one in page.texts(".card h4 bdi")} == set(
        hostile_films.values()
    )
    for summary in page.all(".card summary"):
        summary.click()
    page.until(lambda: len(page.all(".card details ol")) == len(hostile_films))
    for word, title in hostile_films.items():
        page.search(word)
        page.act("like", title, "#found")
        assert page.text("#history .deed .title") == f"{title} (1999)"
        assert page.text("#status").startswith(f"Liked {title}")
    page.find("#seen").click()
    page.until(lambda: len(page.texts(".because")) == len(hostile_films))
    reasons = " ".join(page.texts(".because"))
    assert sum(title in reasons for title in hostile_films.values()) >= 3
    assert page.is_safe()


def test_an_id_that_no_event_may_have_is_told(page: Any, films: Any) -> None:
    page.open(user=films.endless)
    assert page.text("#user-id") == films.endless
    assert len(page.all(".card")) == 10
    page.find("[data-control=like]").click()
    page.until(lambda: "200" in page.text("#alert"))
    assert page.fits()


def test_an_id_that_no_address_may_have_is_told(page: Any) -> None:
    page.open(user="..")
    assert 'The id ".." cannot stand in an address' in page.text("#alert")


def test_the_token_is_asked_for_and_kept_in_the_tab(page: Any, locked_url: str) -> None:
    page.visit(f"{locked_url}/#{urlencode({'user': 'u022'})}")
    page.until(lambda: page.find("#token").is_displayed())
    assert page.focused() == "token-input"
    assert not page.find("#main").is_displayed()
    page.find("#token-input").send_keys("wrong", ENTER)
    page.until(lambda: page.text("#token-refused") == "The server did not accept that token.")
    page.find("#token-input").send_keys("open sesame", ENTER)
    page.until(lambda: "no spaces" in page.text("#token-refused"))
    page.find("#token-input").clear()
    page.find("#token-input").send_keys("sesame", ENTER)
    page.settled()
    assert page.text("#user-id") == "u022"
    page.act("like", page.titles()[0])
    page.driver.refresh()
    page.settled()
    assert page.text("#history .deed .told") == "liked"


def test_no_request_leaves_the_server(page: Any) -> None:
    page.open(user="u026")
    page.act("like", page.titles()[0])
    asked = page.run("performance.getEntriesByType('resource').map(one => one.name)")
    assert asked
    assert all(one.startswith((page.url + "/", "data:")) for one in asked)
    assert page.is_safe()
