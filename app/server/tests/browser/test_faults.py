"""Faults that were seen on the page, by their numbers; see also `web/tests/faults.test.js`."""

import json
import secrets
import socketserver
import threading
from pathlib import Path

import pytest

from chat import Chat
from stack import REPOSITORY, Room, Wire, free_port

# A name that is not localhost: on plain http the page has no secure context there, as on a phone.
LAN = "rollcall.test"

# Keeps the page's sockets within reach, to say what a server would.
SOCKETS = """
window.sockets = [];
window.WebSocket = class extends WebSocket {
  constructor(address) { super(address); window.sockets.push(this); }
};
"""
SAY = "window.sockets.at(-1).onmessage({ data: JSON.stringify(arguments[0]) })"


def on_lan(server, room="lobby"):
    return f"http://{LAN}:{server.port}"


def rows(chat, state):
    return [row["text"] for row in chat.shown() if row["state"] == state]


@pytest.fixture
def lan_browser(browser):
    return browser("--host-resolver-rules=MAP rollcall.test 127.0.0.1")


def test_p1_a_reload_without_locks_is_the_same_person(lan_browser, server):
    wire = Wire(server.port)
    try:
        chat = Chat(lan_browser, wire.url.replace("127.0.0.1", LAN)).open().join("Ada")
        assert chat.driver.execute_script("return [isSecureContext, navigator.locks ?? null]") == [False, None]
        key = chat.participant()["key"]
        server.kill()
        chat.say("said to nobody")
        chat.until(lambda: rows(chat, "pending") == ["said to nobody"], "it waits")
        server.start()
        chat.driver.refresh()
        chat.until_served()
        chat.until_sent("said to nobody")
        assert chat.participant()["key"] == key
        assert [it["text"] for it in Room(server.url, "lobby").history()] == ["said to nobody"]
    finally:
        wire.close()


def test_p1_two_tabs_without_locks_are_two_people(lan_browser, server):
    chat = Chat(lan_browser, on_lan(server)).open().join("Ada")
    key = chat.participant()["key"]
    chat.open_twin()
    twin = Chat(chat.driver, on_lan(server)).join("Ada's twin")
    assert twin.participant()["key"] != key
    twin.until(lambda: twin.find("people-count").text == "2 here", "both are here")


class Answering(socketserver.ThreadingTCPServer):
    """HAProxy without a replica: its 503 page, to everything."""

    allow_reuse_address = True
    page = (Path(REPOSITORY) / "haproxy/errors/503.http").read_bytes()

    def __init__(self, port):
        outer, self.port = self, port

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                self.request.recv(65536)
                self.request.sendall(outer.page)

        super().__init__(("127.0.0.1", port), Handler)
        threading.Thread(target=self.serve_forever).start()

    def close(self):
        self.shutdown()
        self.server_close()


def test_p3_the_503_page_tries_again_in_a_room(browser, server):
    haproxy = Answering(free_port())
    # Where somebody listens all the time.
    wire = Wire(haproxy.port)
    chat = Chat(browser(), wire.url, "the-van")
    try:
        chat.open()
        chat.until(lambda: "One moment" in chat.driver.page_source, "the 503 page is shown")
        wire.port = server.port
        chat.join("Ada")
        assert "the-van" in chat.driver.title
    finally:
        wire.close()
        haproxy.close()


def test_p4_the_log_away_is_told_with_what_is_kept(browser, server):
    driver = browser()
    driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": SOCKETS})
    chat = Chat(driver, server.url).open().join("Ada")
    driver.execute_script(SAY, {"type": "status", "log": "away"})
    chat.say("first")
    chat.say("second")
    chat.until(lambda: chat.find("strip").text.startswith("The log is away: 2 messages are kept"), "it is told")
    assert not chat.find("serving").is_displayed(), "nobody serves now"
    driver.execute_script(SAY, {"type": "status", "log": "up"})
    chat.until_sent("first")
    chat.until_sent("second")
    assert chat.find("strip").text == ""
    assert chat.find("serving").is_displayed()


def test_p5_a_cut_network_is_noticed_and_found_again_at_once(browser, server):
    chat = Chat(browser(), server.url).open().join("Ada")
    server.kill()
    # While one try is under way the next is not told.
    told = lambda: chat.find("retry").is_displayed() and "next try in" in chat.find("countdown").text
    chat.until(told, "one can try now, and is told when the page does")
    assert chat.find("notice").text.startswith("No connection")
    server.start()
    chat.driver.execute_script("dispatchEvent(new Event('online'))")
    chat.until_served()


def test_p6_half_a_character_is_sent_well_formed(browser, server):
    chat = Chat(browser(), server.url).open().join("Ada")
    chat.driver.execute_script("document.getElementById('text').value = 'half \\ud83d'")
    chat.find("text").send_keys("!\n")
    chat.until_sent("half \ufffd!")
    chat.say("and on")
    chat.until_sent("and on")


def test_p7_a_tab_that_only_reads_keeps_its_place_without_being_asked(browser, server):
    chat = Chat(browser(), server.url).open().join("Ada")
    assert Room(server.url, "lobby").post(secrets.token_hex(16), "Grace", 1, "read this") == 200
    chat.until_shown("read this")
    place = chat.shown()[0]["id"]
    # A discarded tab hears of nothing before: no event is made here.
    saved = "return JSON.parse(sessionStorage.getItem('rollcall')).rooms.lobby?.cursor"
    chat.until(lambda: chat.driver.execute_script(saved) == place, "the cursor is saved")


def test_p15_enter_that_ends_a_composition_does_not_send(browser, server):
    chat = Chat(browser(), server.url).open().join("Ada")
    chat.find("text").send_keys("ni")
    chat.driver.execute_script(
        "document.getElementById('text').dispatchEvent("
        "new KeyboardEvent('keydown', { key: 'Enter', keyCode: 229, bubbles: true, cancelable: true }))"
    )
    assert chat.find("text").get_attribute("value") == "ni"
    chat.find("text").send_keys(" hao\n")
    chat.until_sent("ni hao")


def test_p16_one_can_talk_where_site_data_is_blocked(browser, server):
    chat = Chat(browser(cookies=2), server.url).open()
    blocked = "try { return sessionStorage.length } catch (error) { return error.name }"
    assert chat.driver.execute_script(blocked) == "SecurityError"
    chat.join("Ada")
    chat.say("hello")
    chat.until_sent("hello")


def test_p16_timers_run_without_a_worker(browser, server):
    driver = browser()
    driver.execute_cdp_cmd("Network.enable", {})
    driver.execute_cdp_cmd("Network.setBlockedURLs", {"urls": ["*/web/clock-worker.js"]})
    chat = Chat(driver, server.url).open().join("Ada")
    server.kill()
    chat.until(lambda: chat.find("notice").text != "", "the header says that it waits")
    server.start()
    chat.until_served()


def test_p17_a_name_is_stripped_then_normalised(browser, server):
    chat = Chat(browser(), server.url).open()
    chat.asked()
    chat.driver.execute_script("document.getElementById('name').value = 'Zoe\\u200b\\u0308'")
    chat.find("name").send_keys("\n")
    chat.until_served()
    assert chat.participant()["name"] == "Zo\u00eb"


def test_p18_after_a_roll_the_page_offers_to_reload_and_loses_nothing(browser, server):
    chat = Chat(browser(), server.url).open().join("Ada")
    assert not chat.find("renewed").is_displayed()
    key = chat.participant()["key"]
    server.kill()
    server.start(release="1.1.0")
    chat.until(lambda: chat.find("renewed").is_displayed(), "a reload is offered")
    chat.find("text").send_keys("half a thought")
    chat.find("reload").click()
    chat.until(lambda: not chat.find("renewed").is_displayed(), "the page is of the new release")
    chat.until_served()
    assert chat.find("text").get_attribute("value") == "half a thought"
    assert chat.participant()["key"] == key
    meta = "return document.querySelector('meta[name=release]').content"
    assert chat.driver.execute_script(meta) == "1.1.0"
    assert json.loads(chat.driver.execute_script("return sessionStorage.getItem('rollcall')"))["name"] == "Ada"
