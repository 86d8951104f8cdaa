"""The page behind proxies that let no WebSocket through, and no stream."""

import secrets

import pytest

from chat import Chat
from stack import Room, Wire


@pytest.mark.parametrize("streams", [True, False], ids=["by event streams", "by long polls"])
def test_without_a_websocket_one_talks_all_the_same(browser, server, streams):
    wire = Wire(server.port, upgrades=False, streams=streams)
    try:
        chat = Chat(browser(), wire.url).open().join("Ada")
        for number in range(3):
            chat.say(f"line {number}")
            chat.until_sent(f"line {number}")
        Room(server.url, "lobby").post(secrets.token_hex(16), "Grace", 1, "I can read you.")
        chat.until_shown("I can read you.")
        wire.cut()
        chat.say("after the cut")
        chat.until_sent("after the cut")
        log = Room(server.url, "lobby").history()
        assert [row["id"] for row in chat.shown()] == [message["id"] for message in log]
        assert [message["text"] for message in log] == ["line 0", "line 1", "line 2", "I can read you.", "after the cut"]
        assert chat.driver.find_elements("css selector", ".note") == []
    finally:
        wire.close()


def test_rooms_that_are_not_on_the_screen_are_heard_of(browser, server):
    wire = Wire(server.port, upgrades=False)
    try:
        chat = Chat(browser(), wire.url).open().join("Ada")
        Room(server.url, "the-van").post(secrets.token_hex(16), "Slate", 1, "Engine on.")
        badge = "#rooms a[href='#the-van'] .badge"
        chat.until(lambda: chat.driver.find_element("css selector", badge).text == "1", "it is counted")
        chat.driver.find_element("css selector", "#rooms a[href='#the-van']").click()
        chat.until_shown("Engine on.")
    finally:
        wire.close()
