"""A network that is away for long, a tab that is killed: nothing that was typed or said meanwhile is lost."""

import json
import secrets
import time
import urllib.request

import websocket
from chat import Chat
from person import Person
from stack import Room, Wire, free_port

OFFLINE_S = 30


def test_half_a_minute_offline_loses_nothing(browser, server):
    wire, room, grace = Wire(server.port), Room(server.url, "lobby"), secrets.token_hex(16)
    try:
        ada = Chat(browser(), wire.url).open().join("Ada")
        ada.say("before")
        ada.until_sent("before")
        wire.port, back_at = free_port(), time.monotonic() + OFFLINE_S
        wire.cut()
        said = []
        for n in range(1, 4):
            said += [f"Ada {n}", f"Grace {n}"]
            ada.say(f"Ada {n}")
            room.say(grace, "Grace", n, f"Grace {n}")
        ada.until(lambda: ada.find("notice").text == "No connection: 3 messages are kept", "it is told")
        # Longer than leases and heartbeats: everybody has seen her go.
        time.sleep(back_at - time.monotonic())
        assert ada.texts() == ["before", "Ada 1", "Ada 2", "Ada 3"]
        wire.port = server.port
        ada.driver.execute_script("dispatchEvent(new Event('online'))")
        for n in range(1, 4):
            ada.until_sent(f"Ada {n}")
        log = room.history()
        assert sorted(it["text"] for it in log) == sorted(["before", *said])
        assert [it["text"] for it in log if it["name"] == "Ada"] == ["before", "Ada 1", "Ada 2", "Ada 3"]
        ada.until(lambda: [row["id"] for row in ada.shown()] == [it["id"] for it in log], "all is there, once")
        assert ada.driver.find_elements("css selector", ".note") == []
    finally:
        wire.close()


class Tab:
    """A tab by way of its debugger: the driver gives up one that was killed, while a browser shows it again."""

    def __init__(self, driver):
        address = driver.capabilities["goog:chromeOptions"]["debuggerAddress"]
        with urllib.request.urlopen(f"http://{address}/json", timeout=10) as answer:
            (page,) = [it for it in json.load(answer) if it["type"] == "page"]
        self.socket = websocket.create_connection(page["webSocketDebuggerUrl"], timeout=20, suppress_origin=True)
        self.asked = 0

    def do(self, method, **parameters):
        self.tell(method, **parameters)
        while (told := json.loads(self.socket.recv())).get("id") != self.asked:
            pass
        return told.get("result", {})

    def tell(self, method, **parameters):
        self.asked += 1
        self.socket.send(json.dumps({"id": self.asked, "method": method, "params": parameters}))

    def until_event(self, name):
        while json.loads(self.socket.recv()).get("method") != name:
            pass

    def value(self, script):
        return self.do("Runtime.evaluate", expression=script, returnByValue=True).get("result", {}).get("value")

    def until(self, script, value):
        deadline = time.monotonic() + 20
        while (told := self.value(script)) != value:
            assert time.monotonic() < deadline, f"{script} is {told}"
            time.sleep(0.05)


def test_a_tab_that_is_killed_goes_on_where_it_was(browser, server):
    """No event is told to a page whose process dies: what it needs was kept before."""
    ada = Person(browser("--remote-allow-origins=*"), server.url).open().join("Ada")
    ada.say("before")
    ada.until_sent("before")
    key = ada.participant()["key"]
    server.kill()
    ada.say("said to nobody")
    ada.find("text").send_keys("half a thought")
    draft = "return Object.values(sessionStorage).some((it) => it.includes('half a thought'))"
    ada.until(lambda: ada.driver.execute_script(draft), "the draft is kept")
    tab = Tab(ada.driver)
    tab.do("Inspector.enable")
    tab.tell("Page.crash")
    tab.until_event("Inspector.targetCrashed")
    server.start()
    tab.do("Page.reload")
    tab.until("document.getElementById('status')?.dataset.state", "serving")
    tab.until("JSON.parse(sessionStorage.getItem('rollcall')).key", key)
    tab.until("document.getElementById('text').value", "half a thought")
    mine = "[...document.querySelectorAll('.conversation:not([hidden]) .message.own')].filter((it) => it.dataset.id).at(-1)"
    tab.until(f"{mine}?.querySelector('.text').textContent", "said to nobody")
    assert [it["text"] for it in Room(server.url, "lobby").history()] == ["said to nobody"]


# The page as it is saved between a message of ours that came and its ack; and it is not saved again.
BEFORE_THE_ACK = """
document.dispatchEvent(new Event("freeze", { bubbles: true }));
const saved = JSON.parse(sessionStorage.getItem("rollcall"));
saved.rooms.lobby.outbox.pending = [{ n: 1, text: "said once", trace: "seen" }];
sessionStorage.setItem("rollcall", JSON.stringify(saved));
Storage.prototype.setItem = () => {};
"""


def test_what_came_before_its_ack_did_is_shown_once_after_a_reload(browser, server):
    ada = Chat(browser(), server.url).open().join("Ada")
    ada.say("said once")
    ada.until_sent("said once")
    ada.driver.execute_script(BEFORE_THE_ACK)
    ada.driver.refresh()
    ada.until_served()
    ada.until(lambda: ada.participant()["rooms"]["lobby"]["outbox"]["pending"] == [], "nothing waits")
    ada.until(lambda: ada.driver.find_elements("css selector", ".loaded:not([hidden])"), "history is here")
    assert ada.texts() == ["said once"]
