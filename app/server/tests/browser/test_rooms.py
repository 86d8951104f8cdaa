"""Rooms of one's own, at a real server: making them, letting people in, and keeping them in order."""

import pytest
from person import Person
from selenium.webdriver.common.keys import Keys


@pytest.fixture
def ada(browser, server):
    return Person(browser(), server.url).open().join("Ada").sign_up("Ada")


@pytest.fixture
def grace(browser, server):
    return Person(browser(), server.url).open().join("Grace")


def test_a_room_is_made_and_others_find_it(ada, grace):
    ada.make_room("attic").say("who is there?")
    ada.until_sent("who is there?")
    ada.find("room-about").click()
    ada.find("topic-field").send_keys("Under the roof", Keys.ENTER)
    ada.until(lambda: ada.find("topic").text == "Under the roof", "the topic is set")
    ada.close_dialog()
    grace.find("text").send_keys(Keys.CONTROL, "k")
    grace.find("switch-to").send_keys("att")
    grace.until(lambda: "Under the roof" in grace.find("switch-list").text, "it is found")
    grace.find("switch-to").send_keys(Keys.ENTER)
    grace.until_in("attic")
    grace.until_shown("who is there?")
    assert grace.find("topic").text == "Under the roof"
    assert "Ada made this room." in grace.notices() and "Ada set the topic: Under the roof" in grace.notices()
    grace.find("text").send_keys(Keys.ALT, Keys.ARROW_UP)
    grace.until(lambda: grace.find("room-title").text != "attic", "the one before")


def test_one_enters_a_private_room_by_its_link_only(ada, grace):
    ada.make_room("back room", private=True).say("for us")
    ada.until_sent("for us")
    grace.go("back room")
    grace.until(lambda: "You are not in this room" in grace.strip(), "it is closed to her")
    assert not grace.find("send").is_enabled() and "for us" not in grace.driver.page_source
    ada.find("room-about").click()
    ada.press("Copy invitation link")
    ada.until(lambda: ada.all("#invitation"), "there is a link")
    grace.driver.get(ada.find("invitation").get_attribute("value"))
    grace.until_in("back room")
    grace.until_shown("for us")
    assert "invite" not in grace.driver.current_url
    ada.close_dialog()
    ada.until(lambda: ada.people() == ["Ada", "Grace"], "she is in")
    grace.say("thank you")
    ada.until_shown("thank you")
    grace.driver.refresh()
    grace.until_served()
    grace.until_shown("thank you")
    assert grace.strip() == ""


def test_a_room_that_one_leaves_does_not_come_back(browser, server, ada):
    """A read that was on its way brought it back, and so did the next list."""
    elsewhere = Person(browser(), server.url).open().sign_in_at_the_door("Ada")
    ada.make_room("attic").say("to be left")
    ada.until_sent("to be left")
    elsewhere.until(lambda: elsewhere.all("#rooms a[href='#attic']"), "it is on the other device")
    elsewhere.go("the-van").find("text").send_keys("half a sentence")
    ada.find("room-about").click()
    ada.press("Leave this room")
    ada.until(lambda: not ada.all("#rooms a[href='#attic']"), "it is left")
    elsewhere.until(lambda: not elsewhere.all("#rooms a[href='#attic']"), "it is left on the other device, too")
    elsewhere.find("text").send_keys(" goes on")
    assert elsewhere.find("text").get_attribute("value") == "half a sentence goes on"
    assert elsewhere.address_room() == "the-van", "whoever writes elsewhere stays there"
    # They look again when they are seen again.
    for page in (ada, elsewhere):
        page.driver.refresh()
        page.until_served()
        page.until_account("registered")
    ada.say("somewhere else")
    ada.until_sent("somewhere else")
    assert not ada.all("#rooms a[href='#attic']")


def test_two_people_talk_alone(browser, server, ada, grace):
    grace.sign_up("Grace")
    grace.say("hello, all")
    ada.act("hello, all", "Write to Grace alone")
    ada.until_in("Grace")
    ada.say("hello, Grace")
    ada.until_sent("hello, Grace")
    link = "//nav//a[.//span[@class='title' and .='Ada']]"
    grace.until(lambda: grace.driver.find_elements("xpath", link), "it is in her list")
    grace.driver.find_element("xpath", link).click()
    grace.until_shown("hello, Grace")
    grace.say("hello, Ada")
    ada.until_shown("hello, Ada")
    assert grace.find("room-title").text == "Ada"
    stranger = Person(browser(), server.url).open().join("Plum")
    stranger.driver.execute_script("location.hash = arguments[0]", "#" + ada.driver.current_url.split("#")[1])
    stranger.until(lambda: "You are not in this room" in stranger.strip(), "it is closed to others")


@pytest.fixture
def attic(ada, grace):
    """Both are in a room that Ada made, and Grace has spoken."""
    ada.make_room("attic")
    grace.go("attic").say("hi")
    grace.until_sent("hi")
    ada.until_shown("hi")
    return ada, grace


def test_a_frozen_room_is_the_owners_alone(attic):
    ada, grace = attic
    grace.find("text").send_keys("kept while frozen")
    ada.find("room-about").click()
    ada.press("Freeze")
    grace.until(lambda: "frozen" in grace.strip() and not grace.find("send").is_enabled(), "she may not")
    grace.find("text").send_keys(Keys.ENTER)
    assert grace.find("text").get_attribute("value") == "kept while frozen"
    assert ada.strip() == ""
    ada.until(lambda: "Thaw" in ada.find("about-room").text, "it can be thawed")
    ada.press("Thaw")
    grace.until(lambda: grace.strip() == "", "she may again")
    grace.find("text").send_keys(Keys.ENTER)
    ada.until_shown("kept while frozen")
    ada.press("Archive")
    for page in attic:
        page.until(lambda: "archived" in page.strip() and not page.find("send").is_enabled(), "nobody may")


def test_slow_mode_holds_back_and_loses_nothing(attic):
    ada, grace = attic
    ada.find("room-about").click()
    ada.css("#slow option[value='5']").click()
    grace.until(lambda: "Slow mode: one message in 5 s" in grace.strip(), "she is told")
    for text in ("one", "two"):
        grace.say(text)
    grace.until(lambda: "goes out in" in grace.strip(), "it counts down")
    grace.until_sent("two")
    times = [row["text"] for row in grace.shown()]
    assert times[-2:] == ["one", "two"]
    ada.close_dialog()
    for text in ("no", "limit", "here"):
        ada.say(text)
    ada.until_sent("here")


def test_whom_the_owner_mutes_reads_on(attic):
    ada, grace = attic
    ada.act("hi", "Mute Grace for 10 minutes")
    grace.until(lambda: "A moderator muted you here" in grace.strip(), "she is told")
    assert not grace.find("send").is_enabled()
    ada.say("you know why")
    grace.until_shown("you know why")
    assert "Ada muted Grace" in grace.notices()


def test_who_is_sent_out_may_come_back_and_who_is_banned_may_not(attic):
    ada, grace = attic
    ada.act("hi", "Send Grace out")
    grace.until(lambda: "You are not in this room" in grace.strip(), "she is out")
    ada.until(lambda: ada.people() == ["Ada"], "she is not there")
    ada.say("now without her")
    ada.until_sent("now without her")
    assert "now without her" not in grace.texts()
    ada.act("hi", "Ban Grace from this room")
    ada.until(lambda: "Ada banned Grace" in ada.notices(), "it is told")
    grace.driver.refresh()
    grace.until_served()
    grace.until(lambda: "You are not in this room" in grace.strip(), "she stays out")
    assert "now without her" not in grace.texts()
    grace.css("#rooms a[href='#lobby']").click()
    grace.say("elsewhere")
    grace.until_sent("elsewhere")


def test_nobody_else_has_the_levers(attic):
    _, grace = attic
    assert grace.acts("hi") == ["Copy link", "Change", "Remove"]
    grace.find("room-about").click()
    assert [it.text for it in grace.all("#about-room button") if it.text] == ["Leave this room"]
