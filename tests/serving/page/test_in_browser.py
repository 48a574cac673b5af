"""The page in a real browser: what people do with it, by mouse, keyboard and phone."""

from __future__ import annotations

from typing import Any

import pytest

ENTER, DOWN, RIGHT, TAB, ESCAPE = "\ue007", "\ue015", "\ue014", "\ue004", "\ue00c"
EVENTS_TAKEN = r"document.querySelector('header dl').textContent.match(/(\d+) events? taken/)[1]"
VERSION = r"document.querySelector('header dl').textContent.match(/version \d+/)[0]"


def color(title: str) -> str:
    return title.split()[0]


def test_the_start_says_what_is_served_and_offers_users(page: Any) -> None:
    page.open()
    assert page.text("#start h1") == "What would it recommend?"
    assert page.text("#start-facts").startswith("ItemKNN on films: ")
    assert len(page.all("#some-users button")) == 8
    assert not page.find("#person").is_displayed()


def test_a_user_is_searched_and_everything_about_him_appears(page: Any, films: Any) -> None:
    page.open()
    box = page.find("#user-input")
    box.send_keys("u01")
    page.until(lambda: page.texts("#user-options .id")[:1] == ["u010"])
    box.send_keys(DOWN, DOWN, ENTER)
    page.settled()
    assert page.text("#user-id") == "u011"
    assert page.address() == {"user": ["u011"]}
    assert page.driver.title == "u011 · recexp live"
    n = films.n_interactions("u011")
    assert f"{n} items in the history" in page.text("#user-facts")
    assert len(page.all(".card")) == 10
    assert page.text(".source") == "from the trained model"
    assert [one.text for one in page.all("#tastes tbody th")][:1] == ["War"]  # rated most
    told = page.texts("#history > ol .told")
    assert told
    assert all(one.startswith("rated ") for one in told)


def test_reasons_tell_the_items_they_come_from(page: Any) -> None:
    page.open(user="u000")
    first = page.text(".card .because")
    assert first.startswith("Because of Comedy ")


def test_a_reload_keeps_the_place(page: Any) -> None:
    page.open(user="u002", k="5", filter="genres:War", seen="1")
    before = page.titles()
    page.driver.refresh()
    page.settled()
    assert page.text("#user-id") == "u002"
    assert page.titles() == before
    assert len(before) == 5
    assert page.find("#length").get_property("value") == "5"
    assert page.find("#seen").is_selected()
    assert {color(one) for one in before} == {"War"}


def test_a_liked_item_goes_and_the_list_follows_at_once(page: Any) -> None:
    page.open(user="u004")
    before = page.titles()
    page.act("like", before[2])
    after = page.titles()
    assert before[2] not in after
    assert len(after) == 10
    new = [one for one in after if one not in before]
    assert new
    assert page.text("#status").startswith(f"Liked {before[2]} (")
    assert f"List updated: {len(new)} new" in page.text("#status")
    assert len(page.all(".badge.new")) == len(new)
    assert page.text("#history .deed .title").startswith(before[2])
    assert page.text("#history .deed .told") == "liked"
    assert page.text(".source") == "from your history, folded in"


def test_stars_rate(page: Any) -> None:
    page.open(user="u006")
    title = page.titles()[0]
    page.act("rate-4", title)
    assert page.text("#status").startswith(f"Rated 4: {title} (")
    assert page.text("#history .deed .told") == "rated 4"
    page.find("#seen").click()
    page.until(lambda: page.address().get("seen") == ["1"])
    page.settled()
    page.find("#find-input").send_keys(title)
    page.until(lambda: page.texts("#found h3 bdi") != [])
    checked = page.all("#found [role=radio][aria-checked=true]")
    assert [one.get_attribute("aria-label") for one in checked] == ["4 of 5"]


def test_a_dismissed_item_does_not_come_back(page: Any) -> None:
    page.open(user="u008")
    title = page.titles()[0]
    page.act("dismiss", title)
    assert title not in page.titles()
    page.driver.refresh()
    page.settled()
    assert title not in page.titles()
    assert page.text("#history .deed .told") == "dismissed"


def test_somebody_new_comes_from_nothing_to_a_list_of_their_own(page: Any) -> None:
    page.open()
    page.find("#start-new").click()
    page.settled()
    new = page.text("#user-id")
    assert new.startswith("new-")
    assert "Nothing is known of this user yet" in page.text("#user-facts")
    assert page.text(".source") == "popular with everyone"
    assert page.text(".because").startswith("Chosen by ")
    assert len({color(one) for one in page.titles()}) == 2
    page.find("#find-input").send_keys("comedy 1")
    page.until(lambda: len(page.all("#found .card")) == 6)
    for title in page.texts("#found h3 bdi")[:3]:
        page.act("like", title.partition(" (")[0], "#found")
    assert page.text("#found .act.like") == "Liked"
    page.settled()
    assert page.text(".source") == "from your history, folded in"
    assert {color(one) for one in page.titles()[:5]} == {"Comedy"}
    assert "3 items in the history · 3 events since training" in page.text("#user-facts")
    assert page.texts("#tastes tbody th") == ["Comedy"]
    page.find("#user-input").send_keys(new[:8])
    page.until(lambda: new in page.texts("#user-options .id"))


def test_filters_narrow_the_list(page: Any) -> None:
    page.open(user="u010")
    page.choose("#filter-0", "War")
    assert {color(one) for one in page.titles()} == {"War"}
    page.find("#filter-1-from").send_keys("1990", TAB)
    page.until(lambda: page.address()["filter"] == ["genres:War", "year>=1990"])
    page.settled()
    years = [int(one[-4:]) for one in page.texts(".traits")]
    assert years
    assert min(years) >= 1990


def test_two_models_stand_side_by_side(page: Any) -> None:
    page.open(user="u012")
    page.choose("#compare", "popular")
    lists = page.titles(0), page.titles(1)
    assert all(len(one) == 10 for one in lists)
    assert lists[0] != lists[1]
    common = set(lists[0]) & set(lists[1])
    assert page.text("#agreement") == f"{len(common)} of 10 items in both lists"
    marked = [one.partition(" (")[0] for one in page.texts(".card h4:has(.both) bdi")]
    assert sorted(marked) == sorted([*common, *common])
    left, right = (one.rect for one in page.all(".column"))
    assert left["y"] == right["y"]
    assert left["x"] + left["width"] <= right["x"]
    page.act("dismiss", lists[1][0], "[data-list=column-1]")
    assert page.text("#status").startswith(f"Dismissed {lists[1][0]}")
    assert "popular 1 new" in page.text("#status")
    assert lists[1][0] not in page.titles(1)
    page.screen(360)
    over, under = (one.rect for one in page.all(".column"))
    assert over["y"] + over["height"] <= under["y"]


def test_similar_items_open(page: Any) -> None:
    page.open(user="u014")
    page.find(".card summary").click()
    page.until(lambda: len(page.all(".card details ol li")) == 6)
    own = color(page.titles()[0])
    assert {color(one) for one in page.texts(".card details ol li")} == {own}
    page.open(user="u014", model="popular")
    assert page.all(".card") != []
    assert page.all(".card details") == []


def test_what_was_opened_stays_open_and_follows(page: Any) -> None:
    page.open(user="u015")
    first, second = page.titles()[:2]
    page.find("header summary").click()
    page.until(lambda: "ndcg@10" in page.text("header dl"))
    events = int(page.run(EVENTS_TAKEN))
    page.all(".card summary")[1].click()
    page.until(lambda: len(page.all(".card details ol li")) == 6)
    page.act("like", first)
    assert page.titles()[0] == second
    assert len(page.all(".card:first-child details[open] li")) == 6
    page.until(lambda: int(page.run(EVENTS_TAKEN)) == events + 1)


def test_a_model_that_learns_from_events_is_asked_again(page: Any) -> None:
    page.open(user="u017", model="popular")
    page.find("header summary").click()
    page.until(lambda: "version" in page.text("header dl"))
    version = page.run(VERSION)
    page.act("like", page.titles()[0])
    page.until(lambda: page.run(VERSION) != version)
    page.settled()
    assert len(page.all(".badge.new")) == 1  # still: since the like
    assert "List updated: 1 new" in page.text("#status")


def test_a_problem_is_told_in_the_words_of_the_api(page: Any) -> None:
    page.open(user="u016", filter="genres:War", k="9999")
    page.until(lambda: page.text("#alert") != "")
    assert "500" in page.text("#alert p")
    assert page.text("#kind-of-user") == "User"
    assert page.texts("#history .deed") != []
    assert [one.text for one in page.all("#alert button")] == ["Close message"]
    page.find("#alert button").click()
    assert page.text("#alert") == ""


def test_a_network_that_fails_is_told_and_nothing_is_lost(page: Any) -> None:
    page.open(user="u018")
    title = page.titles()[0]
    with page.offline():
        page.find(".card [data-control=like]").click()
        page.until(lambda: "cannot be reached" in page.text("#alert"))
    page.find("#alert button").click()
    page.until(lambda: page.text("#status").startswith(f"Liked {title}"))
    assert page.text("#alert") == ""
    assert page.texts("#history .told").count("liked") == 1


def test_the_keyboard_is_enough(page: Any) -> None:
    page.open()
    page.keys(TAB)
    assert page.focused() == "skip"
    page.tab_to("user-input")
    page.keys("u024")
    page.until(lambda: page.texts("#user-options .id") == ["u024"])
    page.keys(ENTER)
    page.settled()
    assert page.text("#user-id") == "u024"
    assert page.focused() == "who"
    page.tab_to("like")
    liked = page.row()
    page.keys(ENTER)
    page.until(lambda: page.text("#status").startswith("Liked"))
    assert page.focused() == "like"  # of the item that took its place
    assert page.row() != liked
    page.keys(TAB)
    assert page.focused() == "rate-1"
    page.keys(RIGHT, RIGHT)
    assert page.focused() == "rate-3"
    page.keys(ENTER)
    page.until(lambda: page.text("#status").startswith("Rated 3"))
    page.keys(TAB)
    assert page.focused() == "dismiss"
    page.keys(TAB)
    assert page.focused() == "similar"
    page.keys(ENTER)
    page.until(lambda: page.all("details[open] ol li") != [])


def test_escape_closes_the_search(page: Any) -> None:
    page.open()
    page.find("#user-input").send_keys("u0")
    page.until(lambda: page.find("#user-options").is_displayed())
    page.find("#user-input").send_keys(ESCAPE)
    assert not page.find("#user-options").is_displayed()


@pytest.mark.movielens
def test_movielens_is_recommended_and_explained(page: Any, movielens_url: str) -> None:
    page.visit(f"{movielens_url}/#user=196")
    page.settled()
    assert page.text("#user-id") == "196"
    assert len(page.all(".card")) == 10
    before = page.titles()
    page.act("like", before[0])
    assert before[0] not in page.titles()
    page.search("star wars")
    assert page.texts("#found h3 bdi")[0] == "Star Wars (1977)"
    page.find("#new-user").click()
    page.settled()
    assert page.text("#user-id").isdecimal()
    page.act("like", page.titles()[0])
    assert "1 event since training" in page.text("#user-facts")
