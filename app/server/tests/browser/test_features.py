"""What the page offers beside talking, at a real server."""

import secrets
from pathlib import Path

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from person import Person
from stack import Room
from test_faults import SAY, SOCKETS


@pytest.fixture
def chat(browser, server):
    return Person(browser(), server.url).open().join("Ada")


class Grace:
    """Another guest, who talks by way of the HTTP API."""

    def __init__(self, url):
        self.url, self.key, self.numbers = url, secrets.token_hex(16), {}

    def say(self, room, text, **about):
        n = self.numbers[room] = self.numbers.get(room, 0) + 1
        Room(self.url, room).say(self.key, "Grace", n, text, **about)


@pytest.fixture
def grace(server):
    return Grace(server.url)


def entries(server, kind):
    return [it for it in Room(server.url, "lobby").history() if it.get("kind") == kind]


def test_the_arrow_up_changes_ones_last_message(browser, server, chat):
    other = Person(browser(), server.url).open().join("Plum")
    chat.say("a mistkae")
    chat.until_sent("a mistkae")
    other.until_shown("a mistkae")
    id_ = chat.shown()[-1]["id"]
    chat.find("text").send_keys(Keys.ARROW_UP)
    assert chat.find("editing").is_displayed()
    assert chat.find("text").get_attribute("value") == "a mistkae"
    chat.find("text").clear()
    chat.find("text").send_keys("a mistake", Keys.ENTER)
    assert not chat.find("editing").is_displayed()
    for page in (chat, other):
        page.until(lambda: page.texts() == ["a mistake"] and "edited" in page.row(id_).text, "it is changed")
    assert [(it["of"], it["text"]) for it in entries(server, "edit")] == [(id_, "a mistake")]
    late = Person(browser(), server.url).open().join("Moss")
    late.until(lambda: late.texts() == ["a mistake"] and "edited" in late.row(id_).text, "history has it, too")


def test_removing_takes_two_presses_and_leaves_the_text_to_nobody(browser, server, chat):
    other = Person(browser(), server.url).open().join("Plum")
    chat.say("away with it")
    chat.until_sent("away with it")
    other.until_shown("away with it")
    id_ = chat.shown()[-1]["id"]
    ActionChains(chat.driver).move_to_element(chat.row(id_)).perform()
    chat.css("[aria-label=Remove]").click()
    assert entries(server, "remove") == []
    chat.css(".acts .sure").click()
    other.until(lambda: "This message was removed" in other.row(id_).text, "it is gone")
    assert [it["of"] for it in entries(server, "remove")] == [id_]
    late = Person(browser(), server.url).open().join("Moss")
    late.until(lambda: "This message was removed" in late.row(id_).text, "history does not have it")
    for page in (other, late):
        assert "away with it" not in page.driver.page_source
        assert other.acts("") == [] and len(page.shown()) == 1


def test_a_mention_is_told_in_the_list_in_the_title_and_in_the_row(chat, grace):
    grace.say("the-van", "nothing for you")
    grace.say("the-van", "@ada, are you there?")
    chat.until(lambda: chat.badge("the-van") == "@2", "it is counted")
    chat.until(lambda: chat.driver.title.startswith("@ (2) "), "the title says so")
    chat.css("#rooms a[href='#the-van']").click()
    chat.until_shown("@ada, are you there?")
    assert chat.css(".calls .mention.me").text == "@ada"
    chat.until(lambda: chat.badge("the-van") == "" and not chat.driver.title.startswith("@"), "it is read")


def test_people_are_called_by_name(chat, grace):
    grace.say("lobby", "hi")
    chat.until_shown("hi")
    chat.find("text").send_keys("well, @gr")
    chat.until(lambda: chat.css("#mentions [aria-selected=true]").text == "Grace", "she is offered")
    chat.find("text").send_keys(Keys.ENTER)
    assert chat.find("text").get_attribute("value") == "well, @Grace "


def test_links_open_and_code_is_code_and_nothing_else_is_markup(chat, grace):
    grace.say("lobby", "see https://example.org/a?b=c. and `<b>x</b>`\n```\nblock\n```\njavascript:alert(1)")
    chat.until(lambda: chat.all(".text a"), "there is a link")
    link = chat.css(".text a")
    assert link.get_attribute("href") == "https://example.org/a?b=c"
    assert set(link.get_attribute("rel").split()) == {"noopener", "noreferrer", "nofollow"}
    assert [it.text for it in chat.all(".text code")] == ["<b>x</b>", "block"]
    assert len(chat.all(".text a, .text b")) == 1


def test_a_server_of_the_release_before_is_offered_nothing_that_it_cannot_do(browser, server):
    chat = Person(browser(), server.url)
    older = (Path(__file__).parent / "older.js").read_text()
    chat.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": older})
    chat.open().join("Ada").say("one")
    chat.until_sent("one")
    assert not chat.find("account-open").is_enabled()
    chat.find("text").send_keys(Keys.ARROW_UP)
    assert not chat.find("editing").is_displayed()
    assert chat.acts("one") == ["Copy link"]


def test_an_edit_that_is_left_for_another_room_is_not_thrown_away(chat):
    page = chat
    page.say("as it was")
    page.until_sent("as it was")
    page.find("text").send_keys("a draft")
    page.act("as it was", "Change")
    page.find("text").send_keys(" and more")
    page.go("elsewhere")
    assert page.find("text").get_attribute("value") == ""
    page.go("lobby")
    assert page.find("text").get_attribute("value") == "a draft\nas it was and more"


def test_an_edit_that_is_left_for_another_edit_is_not_thrown_away(chat):
    for text in ("one", "two"):
        chat.say(text)
        chat.until_sent(text)
    chat.find("text").send_keys("a draft")
    chat.act("one", "Change")
    chat.find("text").send_keys(" and much more")
    chat.point_at("two")
    chat.act("two", "Change")
    assert chat.find("text").get_attribute("value") == "two"
    chat.find("text").send_keys(Keys.ESCAPE)
    assert chat.find("text").get_attribute("value") == "a draft\none and much more"


def test_escape_leaves_an_edit_and_what_was_being_written_comes_back(chat):
    chat.say("one")
    chat.until_sent("one")
    chat.find("text").send_keys(Keys.ARROW_UP, "!", Keys.ESCAPE)
    assert chat.find("text").get_attribute("value") == ""
    assert not chat.find("editing").is_displayed()


def test_p12_each_room_has_its_draft_and_a_reload_finds_it(chat):
    chat.find("text").send_keys("half a thought")
    chat.css("#rooms a[href='#the-van']").click()
    chat.until(lambda: chat.find("text").get_attribute("value") == "", "the other room has none")
    chat.find("text").send_keys("another")
    chat.driver.refresh()
    chat.until_served()
    assert chat.find("text").get_attribute("value") == "another"
    chat.css("#rooms a[href='#lobby']").click()
    chat.until(lambda: chat.find("text").get_attribute("value") == "half a thought", "it is back")


def test_p10_history_pages_back_and_a_link_leads_to_a_message(browser, server):
    room, key = Room(server.url, "lobby"), secrets.token_hex(16)
    for n in range(1, 221):
        room.say(key, "Talk", n, f"line {n}")
    log = room.history()
    chat = Person(browser(), server.url).open().join("Ada")
    chat.until_shown("line 220")
    assert chat.texts()[0] == "line 171"
    while chat.texts()[0] != "line 1":
        first = chat.texts()[0]
        chat.driver.execute_script("document.querySelector('.conversation:not([hidden])').scrollTop = 300")
        chat.until(lambda: chat.texts()[0] != first, "older ones come")
        top = chat.driver.execute_script("return document.querySelector('.conversation:not([hidden])').scrollTop")
        assert top > 700, "what one reads stays where it is"
    assert chat.texts() == [f"line {n}" for n in range(1, 221)]
    chat.driver.refresh()
    chat.until_served()
    chat.until_shown("line 220")
    chat.driver.execute_script(f"location.hash = '#lobby/{log[99]['id']}'")
    chat.until(lambda: chat.css(".target .text").text == "line 100", "it is in sight")
    assert chat.find("news").is_displayed()
    chat.find("news").click()
    chat.until(lambda: chat.below() < 1 and chat.texts()[-1] == "line 220", "and back to the newest")


def test_a_word_in_the_log_keeps_its_place_when_older_messages_come(browser, server):
    """They were put behind it, and so were those before them, for ever."""
    room, key = Room(server.url, "lobby"), secrets.token_hex(16)
    for n in range(1, 151):
        room.say(key, "Talk", n, f"line {n}")
    last = room.history()[-1]["id"]
    driver = browser()
    driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": SOCKETS})
    chat = Person(driver, server.url).open().join("Ada")
    chat.until_shown("line 150")
    driver.execute_script(SAY, {"type": "gap", "room": "lobby", "after": last, "resumes_at": last, "reason": "trimmed"})
    chat.until(lambda: chat.all(".note"), "it is told")
    while chat.texts()[0] != "line 1":
        first = chat.texts()[0]
        driver.execute_script("document.querySelector('.conversation:not([hidden])').scrollTop = 300")
        chat.until(lambda: chat.texts()[0] != first, "older ones come")
    room.say(key, "Talk", 151, "line 151")
    chat.until_shown("line 151")
    assert chat.texts() == [f"line {n}" for n in range(1, 152)]
    beside = "const note = document.querySelector('.note'); return [note.previousElementSibling, note.nextElementSibling].map((it) => it.querySelector('.text').textContent)"
    assert driver.execute_script(beside) == ["line 150", "line 151"]


def test_an_edit_that_is_refused_far_from_its_message_is_not_thrown_away(browser, server):
    room, key = Room(server.url, "lobby"), secrets.token_hex(16)
    for n in range(1, 151):
        room.say(key, "Talk", n, f"line {n}")
    driver = browser()
    driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": SOCKETS})
    chat = Person(driver, server.url).open().join("Ada")
    chat.say("mine")
    chat.until_sent("mine")
    driver.execute_script(f"location.hash = '#lobby/{room.history()[19]['id']}'")
    chat.until(lambda: chat.css(".target .text").text == "line 20", "one reads further up")
    driver.execute_script("window.sockets.at(-1).send = () => {}")
    chat.find("text").send_keys(Keys.ARROW_UP, " and much more", Keys.ENTER)
    assert chat.find("text").get_attribute("value") == ""
    driver.execute_script(SAY, {"type": "reject", "room": "lobby", "n": 2, "code": "no_message", "detail": "there is no such message"})
    chat.until_shown("mine and much more")
    chat.css(".again").send_keys(Keys.ENTER)
    assert chat.find("text").get_attribute("value") == "mine and much more"


def test_a_mute_that_ends_opens_the_form(browser, server):
    driver = browser()
    driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": SOCKETS})
    chat = Person(driver, server.url).open().join("Ada")
    ends = driver.execute_script("return Date.now() + 3000")
    you = {"moderates": False, "muted_until": ends}
    driver.execute_script(SAY, {"type": "room", "room": "lobby", "access": "open", "frozen": False, "archived": False, "slow_ms": 0, "you": you})
    chat.until(lambda: "muted you" in chat.strip(), "it is told")
    chat.say("not yet")
    assert chat.texts() == []
    chat.until(lambda: chat.strip() == "", "it is over")
    chat.find("text").send_keys(Keys.ENTER)
    chat.until_sent("not yet")


def test_p10_a_form_that_grows_does_not_stop_the_following(browser, server):
    chat = Person(browser(), server.url).open().join("Ada")
    room, key = Room(server.url, "lobby"), secrets.token_hex(16)
    for n in range(1, 61):
        room.say(key, "Talk", n, f"line {n}")
    chat.until_shown("line 60")
    chat.driver.execute_script("""
      const text = document.getElementById("text");
      text.value = "line\\n".repeat(9);
      text.dispatchEvent(new Event("input", { bubbles: true }));
    """)
    for n in range(61, 71):
        room.say(key, "Talk", n, f"line {n}")
    chat.until_shown("line 70")
    chat.until(lambda: chat.below() < 1, "it follows")


def test_p13_who_comes_for_the_first_time_is_brought_to_where_people_talk(browser, server):
    Room(server.url, "the-van").post(secrets.token_hex(16), "Slate", 1, "Engine on.")
    chat = Person(browser(), server.url)
    chat.address = server.url
    chat.open().join("Ada")
    chat.until(lambda: chat.find("room-title").text == "the-van", "one is where Slate is")
    chat.until_shown("Engine on.")


def test_without_a_network_the_page_opens_with_what_it_has(browser, server):
    chat = Person(browser(), server.url).open().join("Ada")
    chat.say("kept")
    chat.until_sent("kept")
    ready = "return navigator.serviceWorker.ready.then(() => caches.match('/')).then(Boolean)"
    chat.until(lambda: chat.driver.execute_script(ready), "the page is kept")
    server.kill()
    chat.say("said to nobody")
    chat.driver.refresh()
    chat.until_shown("kept")
    chat.until_shown("said to nobody")
    chat.find("text").send_keys("and this ", Keys.ENTER)
    chat.until_shown("and this")
    server.start()
    chat.driver.execute_script("dispatchEvent(new Event('online'))")
    chat.until_served()
    chat.until_sent("said to nobody")
    chat.until_sent("and this")


def test_colours_are_the_systems_or_ones_own(chat):
    scheme = "return getComputedStyle(document.documentElement).colorScheme"
    assert chat.driver.execute_script(scheme) == "light dark"
    chat.find("theme").click()
    assert chat.driver.execute_script(scheme) == "light"
    chat.find("theme").click()
    assert chat.driver.execute_script(scheme) == "dark"
    chat.driver.refresh()
    chat.until_served()
    assert chat.driver.execute_script(scheme) == "dark"
