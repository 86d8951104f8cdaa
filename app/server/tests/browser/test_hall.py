"""Phones in a hall, over plain http at this machine's address in its network: no locks, no clipboard, no service worker."""

import os
import secrets
import urllib.request
from pathlib import Path

import pytest
from phone import TOUCH, Phone
from rolling import Replicas
from stack import OPERATOR, Room, Server, lan_address
from test_looks import FINDINGS, SMALL

SCREENS = os.environ.get("ROLLCALL_SCREENS")
AXE = os.environ.get("AXE")

# Where a page is by itself, and where an audience is besides.
ROOMS = ["lobby", "the-plan", "the-van", "the-roof", "hall"]

@pytest.fixture
def replicas(tmp_path):
    running = Replicas(tmp_path, lan_address(), HALL="true", API_KEY=OPERATOR)
    yield running
    running.stop()


@pytest.fixture
def phone(browser, replicas):
    return Phone(browser(TOUCH), replicas.ways[0].url).enter()


def said(replicas):
    """How many entries there are in the logs of all rooms that a phone is in."""
    return {room: len(Room(replicas.ways[1].url, room).history()) for room in ROOMS}


def test_a_phone_is_moved_and_reloads_in_the_middle_of_a_move_as_the_same_person(phone, replicas):
    bare = "return [isSecureContext, 'locks' in navigator, 'randomUUID' in crypto, 'serviceWorker' in navigator]"
    assert phone.driver.execute_script(bare) == [False] * 4
    who = phone.participant()
    plan, plum = Room(replicas.ways[1].url, "the-plan"), secrets.token_hex(16)
    phone.say("before")
    phone.until_sent("before")
    replicas.turn(0)
    phone.until(lambda: len(phone.seen("served")) == 2, "it was moved")
    assert phone.view("Lantern").css(".hall-lantern").get_attribute("data-colour") == "1"
    phone.view("Talk")

    phone.reload_in_a_move("sent in a move")
    replicas.turn(0, meanwhile=lambda: plan.say(plum, "Plum", 1, "while it is told to go"))
    phone.until(phone.has_reloaded, "it has reloaded")
    plan.say(plum, "Plum", 2, "while it loads")
    phone.until_in_hall()
    plan.say(plum, "Plum", 3, "afterwards")
    for text in ("before", "while it is told to go", "sent in a move", "while it loads", "afterwards"):
        phone.until_shown(text)
        assert phone.texts().count(text) == 1
    now = phone.participant()
    assert [now[it] for it in ("key", "member", "name")] == [who[it] for it in ("key", "member", "name")]
    assert [row["text"] for row in phone.shown() if row["own"]] == ["before", "sent in a move"]
    phone.until_sent("sent in a move")
    log = said(replicas)
    assert log["the-plan"] == 5
    whole = f"{sum(log.values())} of {sum(log.values())}"
    assert phone.receipt() == {"moved": "once", "messages": whole, "longest silence": "0 ms", "yours, in the log": "2 of 2"}
    assert phone.css(".hall-receipt .verdict").text == "Nothing was lost."


def test_taps_votes_and_the_answer_to_the_roll_call_are_messages_in_the_hall(phone, replicas):
    hall = Room(replicas.ways[1].url, "hall")
    phone.tap()
    phone.until(lambda: phone.told() == "False alarm: you were not moved.", "it is judged")

    phone.tap_when_moved()
    replicas.turn(0, lambda: phone.until(lambda: phone.told() == "Right: you were just moved!", "it is judged"))
    assert phone.view("Vote").ballot() == {}
    hall.say(secrets.token_hex(16), "A heckler", 1, "ask 1 you all")
    hall.set_topic("ask 1 r1 r2 r3")
    phone.until(lambda: phone.ballot() == {"r1": False, "r2": False, "r3": False}, "it is asked")
    for replica in ("r1", "r3"):
        phone.vote(replica)
    phone.driver.refresh()
    phone.until_in_hall()
    assert phone.view("Vote").ballot() == {"r1": False, "r2": False, "r3": True}
    hall.set_topic("ask 2 r1 r2")
    phone.until(lambda: phone.ballot() == {"r1": False, "r2": False}, "it is asked anew")
    hall.set_topic("roll call 3")
    assert phone.answer()["you noticed"] == "1 of 2"
    hall.set_topic("roll call 4")
    phone.answer()
    texts = [message["text"] for message in hall.history()]
    told = [f"Operator set the topic: {topic}" for topic in ("ask 1 r1 r2 r3", "ask 2 r1 r2", "roll call 3", "roll call 4")]
    votes = ["vote 1 r1", "vote 1 r3"]
    here = [f"here {call} {n} of {n}, moved 1, silent 0 ms" for call, n in ((3, 8), (4, 10))]
    assert texts == ["noticed", "noticed", "ask 1 you all", told[0], *votes, *told[1:3], here[0], told[3], here[1]]


def test_a_question_is_told_in_every_view_until_one_has_looked_or_another_is_asked(phone, replicas):
    hall = Room(replicas.ways[1].url, "hall")
    vote, answer = "Which is to die next? Vote.", "The roll is called: answer on your receipt."

    def is_told(words):
        phone.until(lambda: phone.asked_now() == words, f"it is told: {words!r}")
        views = [it.text for it in phone.all(".hall-view.asked")]
        assert views == {vote: ["Vote"], answer: ["Receipt"], "": []}[words]
        header = phone.driver.execute_script("return document.querySelector('#talk header').getBoundingClientRect().top")
        told = phone.driver.execute_script("return document.querySelector('.hall-asks').getBoundingClientRect().bottom")
        assert header >= told or phone.driver.execute_script("return document.body.dataset.view") != "talk"

    hall.set_topic("ask 7 r1 r2")
    is_told(vote)
    phone.driver.refresh()
    phone.until_in_hall()
    is_told(vote)
    hall.set_topic("roll call 8")
    is_told(answer)
    hall.set_topic("ask 2 r1")
    is_told(vote)
    phone.view("Lantern")
    is_told(vote)
    phone.css(".hall-asks button").click()
    assert phone.ballot() == {"r1": False}
    phone.view("Talk")
    is_told("")
    hall.set_topic("roll call 3")
    is_told(answer)
    phone.css(".hall-asks button").click()
    phone.answer()
    phone.view("Talk")
    is_told("")


def test_who_comes_later_has_another_seat_and_finds_what_was_asked(phone, browser, replicas):
    Room(replicas.ways[1].url, "hall").set_topic("ask 1 r1 r2")
    late = Phone(browser(TOUCH), replicas.ways[1].url).enter()
    late.until(lambda: late.view("Vote").ballot() == {"r1": False, "r2": False}, "it is told what was asked")
    seats = [it.view("Lantern").css(".seat").text for it in (phone, late)]
    assert seats == ["1", "2"]
    late.driver.refresh()
    late.until_in_hall()
    assert late.view("Lantern").css(".seat").text == "2"


def test_without_a_hall_it_is_the_chat(browser, server):
    chat = Phone(browser(TOUCH), server.url)
    chat.open().asked()
    chat.css("#join .primary").click()
    chat.until_served()
    chat.until(lambda: chat.word().startswith("There is no hall on this server"), "it says so")
    chat.say("hello")
    chat.until_sent("hello")
    assert chat.find("room-title").text == "the-plan" and not chat.css(".hall-bar").is_displayed()


def test_from_a_server_that_does_not_know_of_halls_it_is_the_chat(browser, server):
    chat = Phone(browser(TOUCH), server.url)
    chat.driver.execute_cdp_cmd("Network.enable", {})
    chat.driver.execute_cdp_cmd("Network.setBlockedURLs", {"urls": ["*/web/hall.js"]})
    chat.open().join("Ada")
    chat.say("hello")
    chat.until_sent("hello")
    assert not chat.all(".hall-bar") and not chat.word()


def test_the_hall_is_asked_for_only_where_there_is_one_and_is_small(browser, server):
    chat = Phone(browser(TOUCH), server.url)
    asked = "return performance.getEntriesByType('resource').map(({ name }) => new URL(name).pathname).filter((it) => it.includes('hall'))"
    chat.open().asked()
    chat.until(lambda: sorted(chat.driver.execute_script(asked)) == ["/web/hall.css", "/web/hall.js"], "both are asked for")
    chat.driver.get(f"{server.url}/#lobby")
    chat.driver.refresh()
    chat.asked()
    assert chat.driver.execute_script(asked) == []
    sizes = []
    for name in ("hall.js", "hall.css"):
        request = urllib.request.Request(f"{server.url}/web/{name}", headers={"accept-encoding": "gzip"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            sizes.append(len(answer.read()))
    assert sum(sizes) < 8_000


CUT_OFF = """
return [...document.querySelectorAll("body *")].filter((it) => {
  const { left, right, width } = it.getBoundingClientRect();
  return it.checkVisibility({ visibilityProperty: true }) && width > 1 && (right > innerWidth + 1 || left < -1);
}).map((it) => it.id || it.className);
"""

# Buttons at the foot whose words do not fit, or that are on each other.
CROWDED = """
const all = [...document.querySelectorAll(".hall-bar button")].filter((it) => it.checkVisibility());
const boxes = all.map((it) => it.getBoundingClientRect());
const over = (a, b) => a.right > b.left + 1 && b.right > a.left + 1 && a.bottom > b.top + 1 && b.bottom > a.top + 1;
const isOver = (box, n) => boxes.some((other, m) => m !== n && over(box, other));
return all.filter((it, n) => it.scrollWidth > it.clientWidth + 1 || isOver(boxes[n], n)).map((it) => it.textContent);
"""

# Name, size, colours, and the letters that somebody has as a default.
LOOKS = [
    ("light", (390, 844), "light", 16),
    ("dark", (390, 844), "dark", 16),
    ("phone-320", (320, 480), "dark", 16),
    ("phone-280", (280, 653), "light", 16),
    ("on-its-side", (568, 320), "light", 16),
    ("letters-28", (390, 844), "light", 28),
    ("letters-32", (320, 480), "light", 32),
    ("zoom-400", (320, 200), "light", 16),
]


@pytest.mark.parametrize("kind", LOOKS, ids=[it[0] for it in LOOKS])
def test_everything_in_the_hall_can_be_read_and_touched(kind, browser, tmp_path):
    name, size, colours, letters = kind
    server = Server(tmp_path / "server.log", HALL="true", API_KEY=OPERATOR).start()
    try:
        phone = Phone(browser(f"{TOUCH},defaultFontSize={letters}"), server.url, size, colours)
        phone.open().asked()
        look(phone, name, "entry")
        assert phone.driver.execute_script("return document.querySelector('#join .primary').getBoundingClientRect().bottom <= innerHeight")
        phone.css("#join .primary").click()
        phone.until_in_hall()
        for n, who in enumerate(("Crimson", "Teal")):
            Room(server.url, "the-plan").say(secrets.token_hex(16), who, 1, ["Everybody ready? The roll begins at nine.", "Hello, hall!"][n])
        phone.until_shown("Hello, hall!")
        look(phone, name, "talk")
        look(phone.view("Lantern"), name, "lantern")
        look(phone.view("Vote"), name, "vote-not-yet")
        phone.view("Talk")
        Room(server.url, "hall").set_topic("ask 1 r1 r2 r3")
        phone.until(phone.asked_now, "it is asked")
        look(phone, name, "asked")
        phone.view("Vote")
        phone.css(".ballot button:nth-child(2)").click()
        phone.until(lambda: "is in the log" in phone.css(".hall-vote .soft").text, "it is counted")
        look(phone, name, "vote")
        phone.tap()
        phone.until(lambda: phone.told().startswith("False"), "it is judged")
        look(phone, name, "false-alarm")
        Room(server.url, "hall").set_topic("roll call 2")
        phone.until(phone.asked_now, "the roll is called")
        look(phone, name, "called")
        phone.receipt()
        look(phone, name, "receipt")
        server.kill()
        phone.until(lambda: "out" in phone.css(".hall-lantern").get_attribute("class"), "nobody serves it")
        look(phone.view("Lantern"), name, "lantern-out")
    finally:
        server.stop()


def look(phone, name, what):
    """At what is on the screen now."""
    driver = phone.driver
    if SCREENS:
        Path(SCREENS).mkdir(parents=True, exist_ok=True)
        driver.save_screenshot(str(Path(SCREENS) / f"hall-{name}-{what}.png"))
    assert driver.execute_script(CUT_OFF) == [], what
    assert driver.execute_script(CROWDED) == [], what
    # At 400 % there is no finger, and where it is low the talk has what there is.
    if name not in ("zoom-400", "on-its-side"):
        assert driver.execute_script(SMALL.replace("#chat :is(", ":is(nav button, .ballot button, .hall-receipt button, ")) == [], what
    if AXE:
        driver.execute_cdp_cmd("Runtime.evaluate", {"expression": Path(AXE).read_text() + ";0"})
        assert driver.execute_async_script(FINDINGS) == [], what
