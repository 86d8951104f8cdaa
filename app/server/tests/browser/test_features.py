"""What the page offers once a server can do it."""

import secrets
import time

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from newer import Newer
from stack import Room


@pytest.fixture
def chat(browser, server):
    return Newer(browser(), server.url).open().join("Ada")


def test_the_arrow_up_changes_ones_last_message(chat):
    chat.say("a mistkae")
    chat.until_sent("a mistkae")
    id_ = chat.shown()[-1]["id"]
    chat.find("text").send_keys(Keys.ARROW_UP)
    assert chat.find("editing").is_displayed()
    assert chat.find("text").get_attribute("value") == "a mistkae"
    chat.find("text").clear()
    chat.find("text").send_keys("a mistake", Keys.ENTER)
    assert not chat.find("editing").is_displayed()
    chat.until(lambda: [it.get("edit") for it in chat.said("send")] == [None, id_], "it is told as an edit")
    assert chat.row(id_).find_element("css selector", ".text").text == "a mistake"


def test_escape_leaves_an_edit_and_what_was_being_written_comes_back(chat):
    chat.say("one")
    chat.until_sent("one")
    chat.find("text").send_keys(Keys.ARROW_UP, "!", Keys.ESCAPE)
    assert chat.find("text").get_attribute("value") == ""
    assert not chat.find("editing").is_displayed()


def test_edits_and_removals_change_the_row_that_they_are_about(chat):
    first = chat.message("lobby", "the door is open")
    second = chat.message("lobby", "a secret")
    chat.until_shown("a secret")
    chat.message("lobby", "the door is ajar", kind="edit", of=first)
    chat.until_shown("the door is ajar")
    assert "edited" in chat.row(first).text
    chat.message("lobby", "", kind="remove", of=second)
    chat.until(lambda: "This message was removed" in chat.row(second).text, "it is gone")
    assert "a secret" not in chat.driver.page_source
    assert len(chat.shown()) == 2
    chat.message("lobby", "Grace froze the room.", kind="notice", n=0)
    chat.until(lambda: chat.css(".notice").text == "Grace froze the room.", "it is told")


def test_removing_takes_two_presses(chat):
    chat.say("away with it")
    chat.until_sent("away with it")
    id_ = chat.shown()[-1]["id"]
    ActionChains(chat.driver).move_to_element(chat.row(id_)).perform()
    remove = chat.css("[aria-label=Remove]")
    remove.click()
    assert [it for it in chat.said("send") if "remove" in it] == []
    chat.css(".acts .sure").click()
    chat.until(lambda: [it["remove"] for it in chat.said("send") if "remove" in it] == [id_], "it is asked for")


def test_a_mention_is_told_in_the_list_in_the_title_and_in_the_row(chat):
    chat.message("the-van", "nothing for you")
    chat.message("the-van", "@ada, are you there?")
    badge = "#rooms a[href='#the-van'] .badge"
    chat.until(lambda: chat.css(badge).text == "@2", "it is counted")
    chat.until(lambda: chat.driver.title.startswith("@ (2) "), "the title says so")
    chat.css("#rooms a[href='#the-van']").click()
    chat.until_shown("@ada, are you there?")
    assert chat.css(".calls .mention.me").text == "@ada"
    assert chat.css(".line.new").text == "New"
    chat.until(lambda: chat.css(badge).text == "" and not chat.driver.title.startswith("@"), "it is read")
    chat.until(lambda: [it["room"] for it in chat.said("read")] == ["the-van"], "other devices are told")


def test_another_device_has_read_it(chat):
    id_ = chat.message("the-van", "news")
    badge = "#rooms a[href='#the-van'] .badge"
    chat.until(lambda: chat.css(badge).text == "1", "it is new")
    chat.tell({"type": "read", "room": "the-van", "id": id_})
    chat.until(lambda: chat.css(badge).text == "", "it is not any more")


def test_people_are_called_by_name(chat):
    chat.message("lobby", "hi")
    chat.until_shown("hi")
    chat.find("text").send_keys("well, @gr")
    chat.until(lambda: chat.css("#mentions [aria-selected=true]").text == "Grace", "she is offered")
    chat.find("text").send_keys(Keys.ENTER)
    assert chat.find("text").get_attribute("value") == "well, @Grace "


def test_links_open_and_code_is_code_and_nothing_else_is_markup(chat):
    chat.message("lobby", "see https://example.org/a?b=c. and `<b>x</b>`\n```\nblock\n```\njavascript:alert(1)")
    link = chat.css(".text a")
    assert link.get_attribute("href") == "https://example.org/a?b=c"
    assert set(link.get_attribute("rel").split()) == {"noopener", "noreferrer", "nofollow"}
    assert [it.text for it in chat.driver.find_elements("css selector", ".text code")] == ["<b>x</b>", "block"]
    assert len(chat.driver.find_elements("css selector", ".text a, .text b")) == 1


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


def test_what_is_true_is_said_over_the_form(chat):
    strip = lambda: chat.find("strip").text
    chat.state(frozen=True)
    chat.until(lambda: "frozen" in strip(), "it is read-only")
    chat.find("text").send_keys("kept while frozen")
    assert not chat.find("send").is_enabled()
    chat.state(frozen=True, moderates=True)
    chat.until(lambda: strip() == "" and chat.find("send").is_enabled(), "a moderator may")
    chat.state(archived=True)
    chat.until(lambda: "archived" in strip(), "it is archived")
    chat.state(muted_until=int(time.time() * 1000) + 60_000)
    chat.until(lambda: "muted you" in strip(), "one is muted")
    chat.state(slow_ms=5000, topic="How to open the door")
    chat.until(lambda: strip() == "Slow mode: one message in 5 s", "slow mode")
    assert chat.find("topic").text == "How to open the door"
    chat.find("text").send_keys(Keys.ENTER)
    chat.until(lambda: "goes out in" in strip(), "it counts down")
    chat.until_sent("kept while frozen")


def test_moderators_have_levers(chat):
    id_ = chat.message("lobby", "flood")
    chat.state(moderates=True)
    member = "f" * 16
    for request in ("PUT rooms/lobby/mutes", "PUT rooms/lobby/bans", "POST rooms/lobby/kicks", "PATCH rooms/lobby"):
        chat.answer(request, 200, {"data": {}})
    ActionChains(chat.driver).move_to_element(chat.row(id_)).perform()
    chat.css("[aria-label='Mute Grace for 10 minutes']").click()
    chat.until(lambda: chat.requests(f"PUT rooms/lobby/mutes/{member}") == [{"seconds": 600}], "she is muted")
    chat.find("room-about").click()
    chat.driver.find_element("xpath", "//dialog//button[text()='Freeze']").click()
    chat.until(lambda: chat.requests("PATCH rooms/lobby") == [{"frozen": True}], "it is frozen")
    chat.answer("PATCH rooms/lobby", 403, {"error": {"code": "forbidden", "detail": "you do not moderate here"}})
    chat.find("topic-field").send_keys("New topic", Keys.ENTER)
    chat.until(lambda: chat.find("topic-field-error").text == "you do not moderate here", "the error is beside the field")
    assert chat.find("topic-field").get_attribute("value") == "New topic"


def test_ctrl_k_goes_to_a_room_and_makes_one(chat):
    chat.answer("GET rooms?active", 200, {"data": {"rooms": [{"room": "attic", "topic": "Under the roof"}]}})
    chat.answer("POST rooms", 201, {"data": {"room": "war room"}})
    chat.find("text").send_keys(Keys.CONTROL, "k")
    chat.find("switch-to").send_keys("att")
    chat.until(lambda: "Under the roof" in chat.css("#switch-list [aria-selected=true]").text, "others are found")
    chat.find("switch-to").send_keys(Keys.ENTER)
    chat.until(lambda: chat.find("room-title").text == "attic", "one is there")
    chat.find("text").send_keys(Keys.CONTROL, "k")
    chat.find("switch-to").send_keys("war room", Keys.ARROW_DOWN, Keys.ENTER)
    chat.until(lambda: chat.find("room-title").text == "war room", "it is made")
    assert chat.requests("POST rooms") == [{"name": "war room", "access": "private"}]
    chat.find("text").send_keys(Keys.ALT, Keys.ARROW_UP)
    chat.until(lambda: chat.find("room-title").text == "attic", "the one before")


def test_registering_tells_errors_beside_their_fields_and_throws_nothing_away(chat):
    chat.answer("POST accounts", 409, {"error": {"code": "name_taken", "detail": "this name is somebody's"}})
    chat.find("account-open").click()
    chat.driver.find_element("xpath", "//dialog//button[text()='Register a name instead']").click()
    chat.find("account-password").send_keys("short", Keys.ENTER)
    assert chat.find("account-password-error").text == "At least 8 characters"
    chat.find("account-password").send_keys(" and then long", Keys.ENTER)
    chat.until(lambda: chat.find("account-name-error").text == "this name is somebody's", "it is said")
    assert chat.find("account-password").get_attribute("value") == "short and then long"
    chat.answer("POST accounts", 201, {"data": {"account": {"name": "Ada"}}})
    chat.answer("POST sessions", 201, {"data": {"token": "t0ken", "account": {"name": "Ada", "role": "registered"}}})
    chat.answer("GET sessions/current", 401, {"error": {"code": "unauthorized", "detail": "no session"}})
    chat.driver.execute_script("window.welcomeMore = { account: { name: 'Ada', role: 'registered' }, name: 'Ada' }")
    chat.find("account-name").send_keys(Keys.ENTER)
    chat.until(lambda: [it.get("token") for it in chat.said("hello")] == [None, "t0ken"], "one comes anew, as oneself")
    assert chat.said("hello")[1]["why"] == "move"
    chat.until(lambda: "registered" in chat.find("account-open").text, "a mark shows it")
    assert chat.saved("rollcall.account") == {"name": "Ada", "token": "t0ken"}
    assert chat.seen("states") == ["serving"]


def test_a_void_token_makes_one_a_guest_and_loses_nothing(chat):
    chat.driver.execute_script("localStorage.setItem('rollcall.account', JSON.stringify({ name: 'Ada', token: 'old' }))")
    chat.find("text").send_keys("half a thought")
    chat.driver.refresh()
    chat.until_served()
    assert chat.said("hello")[-1]["token"] == "old"
    chat.driver.execute_script("""
      const socket = window.sockets.at(-1);
      window.tell({ type: "error", code: "bad_token", detail: "this session has ended" });
      socket.onclose({ code: 4401 });
    """)
    chat.until(lambda: "this session has ended" in chat.find("word").text, "it is said")
    chat.until(lambda: len(chat.said("hello")) == 2 and "token" not in chat.said("hello")[-1], "one comes as a guest")
    chat.until_served()
    assert chat.find("text").get_attribute("value") == "half a thought"
    assert chat.saved("rollcall.account") is None


def test_another_name_is_told_with_why(browser, server):
    chat = Newer(browser(), server.url).open()
    chat.driver.execute_script("window.welcomeMore = { name: 'Ada (guest)' }")
    chat.join("Ada")
    chat.until(lambda: "Others see you as “Ada (guest)”" in chat.find("word").text, "it is told")


def test_p10_history_pages_back_and_a_link_leads_to_a_message(browser, server):
    room, key = Room(server.url, "lobby"), secrets.token_hex(16)
    for n in range(1, 221):
        room.say(key, "Talk", n, f"line {n}")
    log = room.history()
    chat = Newer(browser(), server.url).open().join("Ada")
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


def test_p10_a_form_that_grows_does_not_stop_the_following(browser, server):
    chat = Newer(browser(), server.url).open().join("Ada")
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
    chat = Newer(browser(), server.url)
    chat.address = server.url
    chat.open().join("Ada")
    chat.until(lambda: chat.find("room-title").text == "the-van", "one is where Slate is")
    chat.until_shown("Engine on.")


def test_without_a_network_the_page_opens_with_what_it_has(browser, server):
    chat = Newer(browser(), server.url).open().join("Ada")
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


def test_a_server_of_the_release_before_offers_nothing_that_it_cannot_do(browser, server):
    from chat import Chat

    chat = Chat(browser(), server.url).open().join("Ada")
    chat.say("one")
    chat.until_sent("one")
    features = chat.driver.execute_script("return document.getElementById('account-open').disabled")
    if features is False:
        pytest.skip("this server has accounts")
    chat.find("text").send_keys(Keys.ARROW_UP)
    assert not chat.find("editing").is_displayed()
