"""A person chats through a rolling update of the whole stack, and sees every message once.

ROLLCALL_URL is the stack's address, ROLLCALL_ROLL the command that rolls it.
"""

import os
import secrets
import shlex
import subprocess
import threading

import pytest

from chat import Chat
from stack import Room

URL = os.environ.get("ROLLCALL_URL", "http://127.0.0.1:8080")
ROLL = os.environ.get("ROLLCALL_ROLL")

# Slow enough that a roll of two minutes stays within the 500 rows that the page keeps.
PAUSE_S = 1.0
# Talk goes on for a while after the roll: what it broke would show then.
AFTERWARDS = 5


class Sender(threading.Thread):
    """Somebody else, who sends over HTTP all the while."""

    def __init__(self, room, name):
        super().__init__()
        self.room, self.sender_name = room, name
        self.key = secrets.token_hex(16)
        self.done = threading.Event()
        self.taken, self.refused = [], []

    def run(self):
        n = 1
        while not self.done.wait(PAUSE_S):
            text = f"{self.sender_name} {n}"
            status = self.room.post(self.key, self.sender_name, n, text)
            if status == 200:
                self.taken.append(text)
                n += 1
            else:
                self.refused.append((text, status))


@pytest.fixture
def senders():
    started = []
    yield started
    for sender in started:
        sender.done.set()
        sender.join()


@pytest.mark.skipif(not ROLL, reason="ROLLCALL_ROLL names the command that rolls the stack")
def test_a_roll_goes_by_unnoticed(browser, senders, tmp_path):
    name = f"roll-{secrets.token_hex(4)}"
    room = Room(URL, name)
    chat = Chat(browser(), URL, name).open().join("Ada")
    for who in ("Grace", "Edsger"):
        senders.append(Sender(room, who))
        senders[-1].start()

    said = talk_through_roll(chat, tmp_path / "roll.log")
    for sender in senders:
        sender.done.set()
        sender.join()
    chat.until_sent(said[-1])
    log = room.history()
    chat.until(lambda: len(chat.shown()) >= len(log), "the whole log is shown")

    assert len(log) <= 500, "the roll took longer than the page keeps; lower the rate"
    shown = chat.shown()
    assert [row["id"] for row in shown] == [message["id"] for message in log]
    assert [row["text"] for row in shown] == [message["text"] for message in log]
    assert [row["text"] for row in shown if row["own"]] == said
    for sender in senders:
        assert sender.refused == []
        assert [m["text"] for m in log if m["name"] == sender.sender_name] == sender.taken
    assert {row["state"] for row in shown if row["own"]} == {"sent"}
    assert chat.seen("states") == ["serving"]
    assert chat.seen("notices") == []
    assert chat.driver.find_elements("css selector", ".note") == []
    assert chat.console_errors() == []
    served = chat.seen("served")
    print(f"\n{len(log)} messages, {len(said)} typed; served by {' → '.join(served)}")
    assert served[0].split()[1] != served[-1].split()[1], "another release serves"


def talk_through_roll(chat, log_path):
    """Types for as long as the roll takes, and a little longer; returns what was typed."""
    said = []

    def say():
        said.append(f"Ada {len(said) + 1}")
        chat.say(said[-1])

    pause = threading.Event()
    with open(log_path, "wb") as log:
        roll = subprocess.Popen(shlex.split(ROLL), stdout=log, stderr=subprocess.STDOUT)
        try:
            while roll.poll() is None:
                say()
                pause.wait(PAUSE_S)
        finally:
            if roll.poll() is None:
                roll.terminate()
                roll.wait()
    assert roll.returncode == 0, log_path.read_text()[-4000:]
    for _ in range(AFTERWARDS):
        say()
        pause.wait(PAUSE_S)
    return said
