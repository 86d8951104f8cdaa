"""Two people on two replicas click through every feature before, during and after a roll: one in Chromium, one in Firefox."""

import secrets
import urllib.parse

import pytest
from person import PASSWORD, Person
from rolling import Replicas, Rolling
from selenium.webdriver.common.keys import Keys
from stack import Account, Room


@pytest.fixture
def replicas(tmp_path):
    running = Replicas(tmp_path)
    yield running
    running.stop()


@pytest.mark.parametrize("owner", ["chromium", "firefox"])
def test_every_feature_before_during_and_after_a_roll(browsers, replicas, owner):
    guest = {"chromium": "firefox", "firefox": "chromium"}[owner]
    people = []
    for kind, name, way in ((owner, "Ada", 0), (guest, "Grace", 1)):
        url = replicas.ways[way].url
        account = Account(url, name)
        page = Person(getattr(browsers, kind)(), url).open().sign_in_at_the_door(name, PASSWORD).record()
        page.url, page.account = url, account
        people.append(page)
    ada, grace = people
    everything(ada, grace, "before")
    with Rolling(replicas) as roll:
        everything(ada, grace, "during")
    everything(ada, grace, "after")
    moved = [told["moved"] for told in roll.told]
    print(f"\n{len(moved)} turns moved {sum(moved)} connections; {ada.seen('served')[-1]}, {grace.seen('served')[-1]}")
    for page in people:
        assert page.seen("states") == ["serving"] and page.seen("notices") == []
        assert len(page.seen("served")) > 1, "it was moved"
        # Each time Grace was banned in the end; nothing else is noted.
        notes = page.driver.execute_script("return [...document.querySelectorAll('.note')].map((it) => it.textContent)")
        assert all("you may not be in this room" in note for note in notes) and len(notes) <= 3, notes


def everything(ada, grace, when):
    room = f"room {when}"
    talk(ada, grace, room)
    change(ada, grace)
    entered = [room, read_elsewhere(ada, grace, when), alone(ada, grace, when), invited(ada, grace, when)]
    for page in (ada, grace):
        page.go(room)
    keep_order(ada, grace)
    for name in entered:
        shown_once(ada, name)
    for name in entered[1:]:
        shown_once(grace, name)


def talk(ada, grace, room):
    ada.make_room(room).say("hello")
    grace.go(room).until_shown("hello")
    grace.say("hello, @Ada")
    ada.until(lambda: ada.all(".calls .mention.me"), "she is called")
    # Where one was just moved, that is what the line says on the screen.
    typing = lambda: ada.find("typing").get_attribute("textContent")
    grace.type_until(lambda: typing() == "Grace is typing…", "it is told")
    grace.find("text").clear()


def change(ada, grace):
    """One's own words, and the room's topic."""
    grace.say("a mistkae")
    grace.until_sent("a mistkae")
    grace.find("text").send_keys(Keys.ARROW_UP)
    grace.find("text").clear()
    grace.find("text").send_keys("a mistake", Keys.ENTER)
    ada.until_shown("a mistake")
    grace.say("away with it")
    grace.until_sent("away with it")
    ada.until_shown("away with it")
    grace.act("away with it", "Remove")
    ada.until(lambda: "away with it" not in ada.texts(), "it is removed")
    ada.find("room-about").click()
    ada.find("topic-field").send_keys("All of it", Keys.ENTER)
    grace.until(lambda: grace.find("topic").text == "All of it", "the topic is told")
    ada.close_dialog()


def read_elsewhere(ada, grace, when):
    """What is new in another room is counted until it is read, and then on all devices."""
    room, key = f"news {when}", secrets.token_hex(16)
    ada.go(room)
    grace.go(room)
    ada.go("lobby")
    grace.say("something new")
    grace.until_sent("something new")
    ada.until(lambda: ada.badge(room) == "1", "it is counted")
    ada.go(room).until_shown("something new")
    ada.until(lambda: ada.badge(room) == "", "it is read")
    id_ = ada.row_of("something new").get_attribute("data-id")
    mine = lambda: ada.account.call("GET", "rooms?mine=true&limit=5")["rooms"]
    ada.until(lambda: any(it["name"] == room and it["read"] == id_ for it in mine()), "her other devices know")
    # By another way than the page's.
    Room(grace.url, room).say(key, "Plum", 1, "and more")
    for page in (ada, grace):
        page.until_shown("and more")
    return room


def alone(ada, grace, when):
    text = f"only you, {when}"
    ada.go(f"room {when}").act("hello, @Ada", "Write to Grace alone")
    ada.until(lambda: ada.address_room().startswith("direct-"), "they are alone")
    room = ada.address_room()
    ada.say(text)
    ada.until_sent(text)
    link = "//nav//a[.//span[@class='title' and .='Ada']]"
    grace.until(lambda: grace.driver.find_elements("xpath", link), "it is in her list")
    grace.driver.find_element("xpath", link).click()
    grace.until_shown(text)
    grace.say(f"only me, {when}")
    ada.until_shown(f"only me, {when}")
    return room


def invited(ada, grace, when):
    room = f"den {when}"
    ada.make_room(room, private=True).say("for us")
    ada.until_sent("for us")
    ada.find("room-about").click()
    ada.press("Copy invitation link")
    ada.until(lambda: ada.all("#invitation"), "there is a link")
    grace.driver.get(f"{grace.url}/#" + ada.find("invitation").get_attribute("value").split("#")[1])
    ada.close_dialog()
    grace.until_in(room)
    grace.until_shown("for us")
    grace.say("thank you")
    ada.until_shown("thank you")
    return room


def keep_order(ada, grace):
    """Slow mode, a freeze, a mute, a ban: each is told to whom it concerns."""
    ada.find("room-about").click()
    ada.css("#slow option[value='5']").click()
    grace.until(lambda: "Slow mode" in grace.strip(), "it is slow")
    # Her own page is told by another replica, and then draws the dialog anew.
    ada.until(lambda: "one message in 5 s." in ada.find("about-room").text, "her own page knows")
    ada.css("#slow option[value='0']").click()
    grace.until(lambda: "Slow mode" not in grace.strip(), "it is not any more")
    ada.until(lambda: "one message in" not in ada.find("about-room").text, "her own page knows")
    ada.press("Freeze")
    grace.until(lambda: "frozen" in grace.strip(), "it is frozen")
    ada.until(lambda: "Thaw" in ada.find("about-room").text, "it can be thawed")
    ada.press("Thaw")
    grace.until(lambda: "frozen" not in grace.strip(), "it is thawed")
    ada.close_dialog()
    ada.act("hello, @Ada", "Mute Grace for 10 minutes")
    grace.until(lambda: "muted you" in grace.strip(), "she is muted")
    ada.act("hello, @Ada", "Ban Grace from this room")
    grace.until(lambda: "You are not in this room" in grace.strip(), "she is out")


def shown_once(page, room):
    """Everything that is in the log, once and in its order; nothing of it waits."""
    quoted = urllib.parse.quote(room, safe="")
    page.driver.execute_script("location.hash = arguments[0]", f"#{quoted}")
    log = page.account.call("GET", f"rooms/{quoted}/messages?limit=200")["messages"]
    said = [it["id"] for it in log if it.get("kind") is None]
    page.until(lambda: [row["id"] for row in page.shown()] == said, f"{room} shows {said}")
    assert {row["state"] for row in page.shown() if row["own"]} <= {"sent", None}
