"""A toy that speaks just enough of the protocol, right or wrong in one way."""

import json
import re
import threading

import pytest
from websockets.sync.server import serve


class Chat:
    """One room and its log. `forgets` loses the first message after a cursor, `breaks` names a wrong predecessor."""

    def __init__(self):
        self.log, self.rooms, self.forgets, self.breaks, self.rejects = [], [], False, False, None
        self.server = serve(self.talk, "127.0.0.1", 0)
        self.port = self.server.socket.getsockname()[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def talk(self, socket):
        def say(kind, **fields):
            socket.send(json.dumps({"type": kind, "room": "smoke"} | fields))

        hello = json.loads(socket.recv())
        after = hello["rooms"][0].get("after")
        self.rooms.append(hello["rooms"][0]["room"])
        say("joined", head=self.log[-1]["id"] if self.log else "0-0", status="resumed" if after else "fresh")
        missed = [message for message in self.log if after and message["id"] > after]
        for message in missed[self.forgets :]:
            say("message", **message)
        say("live", id="0-0")
        for frame in map(json.loads, socket):
            if frame["type"] == "send" and self.rejects:
                say("reject", n=frame["n"], code="unavailable", detail=self.rejects)
            elif frame["type"] == "send":
                prev = "9-9" if self.breaks else self.log[-1]["id"] if self.log else "0-0"
                self.log.append({"id": f"{frame['n']}-0", "prev": prev, "n": frame["n"]})
                say("message", **self.log[-1])
                say("ack", n=frame["n"], id=self.log[-1]["id"])


@pytest.fixture
def chat():
    chat = Chat()
    yield chat
    chat.server.shutdown()


@pytest.fixture
def smoke(chat, toy, run):
    """The module against the chat, with the toy for its admin listener."""
    toy.answers["GET", "/livez"] = lambda: {"release": "1.1.0"}

    def smoke(release="1.1.0"):
        return run("rollcall_smoke", address="127.0.0.1", port=chat.port, admin_port=toy.port, release=release, timeout=2)

    return smoke


def test_it_sends_and_resumes(chat, smoke):
    result = smoke()
    assert result["messages"] == [message["id"] for message in chat.log] == ["1-0", "2-0", "3-0"]


def test_another_release_than_the_one_meant_is_told(smoke):
    result = smoke("1.2.0")
    assert result["failed"] and "serves release 1.1.0, not 1.2.0" in result["msg"]


def test_a_message_that_a_resume_forgets_is_told(chat, smoke):
    chat.forgets = True
    assert "resume after 1-0 brought ['3-0']" in smoke()["msg"]


def test_a_broken_chain_is_told(chat, smoke):
    chat.breaks = True
    assert "broken chain" in smoke()["msg"]


def test_a_refused_send_is_told(chat, smoke):
    chat.rejects = "the room's log takes nothing now"
    assert "takes nothing now" in smoke()["msg"]


def test_o21_it_talks_where_nobody_can_come_in(chat, smoke):
    """The rooms that it had could be entered by everybody, and kept what it said."""
    smoke()
    first, again = chat.rooms
    assert first == again and re.fullmatch("rollcall-probe-[0-9a-f]{32}", first)
    chat.log.clear()
    smoke()
    assert chat.rooms[2] != first


def test_without_memory_for_a_room_it_says_that_it_has_only_connected(chat, smoke):
    chat.rejects = "no new rooms for now: memory is short"
    result = smoke()
    assert "failed" not in result and result["messages"] == [] and "memory is short, so nobody has talked to it" in result["note"]


def test_a_slot_that_is_not_there_is_one_plain_line(chat, smoke, toy):
    chat.server.shutdown()
    result = smoke()
    assert result["failed"] and "\n" not in result["msg"]
