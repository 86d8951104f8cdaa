"""The page against one server with an in-memory log."""

import gzip
import secrets
import urllib.error
import urllib.request

from selenium.webdriver.common.keys import Keys

from chat import Chat
from stack import Room, Wire

HOSTILE = "<img src=x onerror=\"window.hacked = 1\"><script>window.hacked = 2</script>"


def new_tab(chat, name):
    """Another person in another tab of the same browser."""
    chat.driver.switch_to.new_window("tab")
    return Chat(chat.driver, chat.address.split("/#")[0]).open().join(name)


def test_two_tabs_are_two_people_who_talk(browser, server):
    ada = Chat(browser(), server.url).open().join("Ada")
    first = ada.driver.current_window_handle
    grace = new_tab(ada, "Grace")
    second = grace.driver.current_window_handle
    grace.say("Is anybody here?")
    grace.until_sent("Is anybody here?")
    grace.until(lambda: grace.find("people-count").text == "2 here", "both are here")
    ada.driver.switch_to.window(first)
    ada.until_shown("Is anybody here?")
    ada.say("I am.")
    ada.until_sent("I am.")
    assert [(row["name"], row["own"]) for row in ada.shown()] == [("Grace", False), ("Ada", True)]
    ada.driver.switch_to.window(second)
    grace.until_shown("I am.")
    assert grace.texts() == ["Is anybody here?", "I am."]
    assert ada.console_errors() == []


def test_what_is_said_is_text_and_nothing_else(browser, server):
    chat = Chat(browser(), server.url).open().join("<b>Eve</b>")
    chat.say(HOSTILE)
    chat.until_sent(HOSTILE)
    assert Room(server.url, "lobby").post(secrets.token_hex(16), "<i>Mal", 1, HOSTILE) == 200
    chat.until(lambda: chat.texts() == [HOSTILE, HOSTILE], "both are shown as they were typed")
    assert [row["name"] for row in chat.shown()] == ["<b>Eve</b>", "<i>Mal"]
    injected = "return document.querySelectorAll('#chat :is(b b, i, script, .text *)').length"
    assert chat.driver.execute_script(injected) == 0
    assert chat.driver.execute_script("return window.hacked ?? null") is None
    assert chat.console_errors() == []


def test_a_name_or_text_that_cannot_be_is_not_sent(browser, server):
    chat = Chat(browser(), server.url).open()
    chat.asked().send_keys("   ", Keys.ENTER)
    assert not chat.find("chat").is_displayed()
    chat.join("Ada")
    chat.say("   ")
    chat.driver.execute_script("document.getElementById('text').value = 'x'.repeat(4097)")
    chat.find("text").send_keys(Keys.END, "y", Keys.ENTER)
    assert chat.find("hint").text == "2 too long"
    assert not chat.find("send").is_enabled()
    assert chat.texts() == []


def test_a_reload_goes_on_as_the_same_person_and_nobody_sees_it(browser, server):
    watcher = Chat(browser(), server.url).open().join("Grace")
    ada = Chat(browser(), server.url).open().join("Ada")
    watcher.until(lambda: watcher.find("people-count").text == "2 here", "both are here")
    ada.say("before")
    ada.until_sent("before")
    key = ada.participant()["key"]
    ada.driver.refresh()
    ada.until_served()
    assert ada.texts() == ["before"]
    ada.say("after")
    ada.until_sent("after")
    assert ada.texts() == ["before", "after"]
    assert ada.participant()["key"] == key
    assert ada.participant()["rooms"]["lobby"]["outbox"] == {"next": 3, "pending": [], "seen": 2}
    watcher.until_shown("after")
    assert watcher.seen("people")[-1] == "2 here"
    assert "1 here" not in watcher.seen("people")[watcher.seen("people").index("2 here") :]
    assert [message["n"] for message in Room(server.url, "lobby").history()] == [1, 2]


def test_a_duplicated_tab_is_another_person(browser, server):
    ada = Chat(browser(), server.url).open().join("Ada")
    key = ada.participant()["key"]
    ada.open_twin()
    copy = "return JSON.parse(sessionStorage.getItem('rollcall')).key"
    assert ada.driver.execute_script(copy) == key, "the browser copies the session"
    twin = Chat(ada.driver, server.url).join("Ada's twin")
    assert twin.participant()["key"] != key
    twin.say("hello")
    twin.until_sent("hello")


def test_a_cut_wire_goes_by_unnoticed(browser, server):
    wire = Wire(server.port)
    try:
        chat = Chat(browser(), wire.url).open().join("Ada")
        for number in range(4):
            chat.say(f"before cut {number}")
            wire.cut()
            Room(server.url, "lobby").post(secrets.token_hex(16), "Grace", 1, f"meanwhile {number}")
            chat.until_sent(f"before cut {number}")
            chat.until_shown(f"meanwhile {number}")
        log = Room(server.url, "lobby").history()
        assert len(log) == 8
        assert [row["id"] for row in chat.shown()] == [message["id"] for message in log]
        assert chat.seen("states") == ["serving"]
        assert chat.driver.find_elements("css selector", ".note") == []
    finally:
        wire.close()


def test_a_lost_log_is_told_calmly(browser, server):
    chat = Chat(browser(), server.url).open().join("Ada")
    chat.say("lost with the server")
    chat.until_sent("lost with the server")
    server.kill()
    chat.until(lambda: chat.find("notice").text != "", "the header says so")
    chat.say("said to nobody")
    server.start(release="2.0.0")
    chat.until(lambda: chat.find("release").text == "2.0.0", "the new server serves")
    chat.until_sent("said to nobody")
    assert chat.find("notice").text == ""
    notes = chat.driver.find_elements("css selector", ".conversation:not([hidden]) .note")
    assert [note.text for note in notes] == ["Some messages could not be recovered"]
    assert chat.texts() == ["lost with the server", "said to nobody"]


def test_p11_one_request_brings_the_page(browser, server):
    chat = Chat(browser(), server.url).open()
    chat.asked()
    asked = "return performance.getEntriesByType('resource').map(({ name }) => new URL(name).pathname)"
    assert [it for it in chat.driver.execute_script(asked) if it != "/web/icon.svg"] == []
    chat.join("Ada")
    assert chat.console_errors() == []


def test_p11_the_page_is_small_and_a_browser_that_has_it_is_told_so(server):
    def ask(**headers):
        request = urllib.request.Request(server.url, headers={name.replace("_", "-"): it for name, it in headers.items()})
        return urllib.request.urlopen(request, timeout=10)

    with ask(accept_encoding="gzip") as answer:
        body = answer.read()
        assert len(body) < 40_000
        assert b"<!doctype html>" in gzip.decompress(body)
        tag = answer.headers["etag"]
    with ask(accept_encoding="br") as answer:
        assert answer.headers["content-encoding"] == "br"
        assert len(answer.read()) < 40_000
    try:
        ask(accept_encoding="gzip", if_none_match=tag)
        raise AssertionError("it came once more")
    except urllib.error.HTTPError as error:
        assert error.code == 304


def test_a_page_of_the_release_before_loads_the_new_one(browser, server):
    """Its document came from a replica that is not rolled yet; its modules are asked of one that is."""
    chat = Chat(browser(), server.url).open()
    chat.asked()
    chat.driver.execute_script("window.isOld = true; const script = document.createElement('script');"
                               "script.type = 'module'; script.src = '/web/boot.js'; document.body.append(script);")
    chat.until(lambda: not chat.driver.execute_script("return window.isOld ?? false"), "it is loaded anew")
    chat.join("Ada")


def test_rooms_are_a_click_apart_and_count_what_is_new(browser, server):
    chat = Chat(browser(), server.url).open().join("Ada")
    Room(server.url, "the-van").post(secrets.token_hex(16), "Slate", 1, "Engine on.")
    tab = "#rooms a[href='#the-van']"
    badge = lambda: chat.driver.find_element("css selector", f"{tab} .badge").text
    chat.until(lambda: badge() == "1", "one is new")
    assert "Slate: Engine on." in chat.driver.find_element("css selector", tab).text
    assert chat.texts() == []
    chat.driver.find_element("css selector", tab).click()
    chat.until_shown("Engine on.")
    chat.until(lambda: badge() == "", "it is read")
    chat.driver.execute_script("location.hash = '#a room of our own'")
    chat.until(lambda: "a room of our own" in chat.driver.title, "the room is entered")
    chat.until(lambda: chat.find("people-count").text == "1 here", "we are in it")
    chat.say("private")
    chat.until_sent("private")
    assert chat.console_errors() == []


def test_the_page_follows_the_talk_and_leaves_alone_who_reads_further_up(browser, server):
    chat = Chat(browser(), server.url).open().join("Ada")
    room, key = Room(server.url, "lobby"), secrets.token_hex(16)
    for n in range(1, 201):
        room.say(key, "Talk", n, f"line {n}\nof two")
    chat.until_shown("line 200\nof two")
    chat.until(lambda: chat.below() < 1, "the newest line is in sight")
    assert not chat.find("news").is_displayed()

    chat.scroll_up()
    room.say(key, "Talk", 201, "news")
    chat.until(lambda: chat.find("news").is_displayed(), "a word says that there is something new")
    assert chat.below() > 1000
    chat.find("news").click()
    chat.until(lambda: chat.below() < 1, "the newest line is in sight")
    assert not chat.find("news").is_displayed()


def test_who_leaves_is_gone_at_once(browser, server):
    watcher = Chat(browser(), server.url).open().join("Grace")
    ada = Chat(browser(), server.url).open().join("Ada")
    watcher.until(lambda: watcher.find("people-count").text == "2 here", "both are here")
    ada.find("leave").click()
    ada.until(lambda: ada.find("sentence").text == "You have left.", "it says so")
    watcher.until(lambda: watcher.find("people-count").text == "1 here", "the other one sees it")
    ada.find("again").click()
    ada.join("Ada")


def test_the_page_stays_bounded(browser, server):
    count = 620
    chat = Chat(browser(), server.url).open().join("Ada")
    room, key = Room(server.url, "lobby"), secrets.token_hex(16)
    for n in range(1, count + 1):
        room.say(key, "Flood", n, f"line {n}")
    chat.until_shown(f"line {count}")
    assert chat.texts() == [f"line {n}" for n in range(count - 499, count + 1)]
