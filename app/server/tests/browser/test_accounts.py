"""Accounts, at a real server: one person on several devices."""

import json
import secrets
import time

import pytest
from person import Person
from stack import Room


@pytest.fixture
def ada(browser, server):
    return Person(browser(), server.url).open().join("Ada").sign_up("Ada")


@pytest.fixture
def elsewhere(browser, server, ada):
    """The same person at another device."""
    return Person(browser(), server.url).open().sign_in_at_the_door("Ada")


def test_one_person_on_two_devices_is_one_member(ada, elsewhere):
    assert ada.seen("states") == ["serving"], "signing up interrupts nothing"
    for page in (ada, elsewhere):
        page.until(lambda: page.people() == ["Ada"] and page.find("people-count").text == "1 here", "there is one person")
    ada.say("from the first")
    ada.until_sent("from the first")
    elsewhere.until_shown("from the first")
    elsewhere.say("from the second")
    ada.until_shown("from the second")
    assert [row["own"] for row in ada.shown()[-2:]] == [True, True]
    assert [row["own"] for row in elsewhere.shown()[-2:]] == [True, True]
    assert ada.all("li.message .mark"), "a mark says that the name is registered"
    assert not ada.console_errors()


def test_no_script_knows_the_token_where_the_cookie_serves(ada):
    assert ada.saved("rollcall.account") == {"name": "Ada", "token": None}
    assert ada.driver.execute_script("return document.cookie") == ""
    ada.driver.refresh()
    ada.until_served()
    ada.until_account("registered")


def test_errors_are_told_beside_their_fields_and_nothing_is_thrown_away(browser, server, ada):
    other = Person(browser(), server.url).open().join("Grace")
    other.find("account-open").click()
    other.press("Register a name instead")
    other.fill_account("Ada", "short")
    assert other.find("account-password-error").text == "At least 8 characters"
    other.fill_account("ada", "long enough")
    other.until(lambda: other.find("account-name-error").text != "", "the name is somebody's")
    assert other.find("account-password").get_attribute("value") == "long enough"
    other.press("I have an account")
    other.fill_account("Ada", "not her password")
    other.until(lambda: other.find("account-password-error").text != "", "it is wrong")
    assert other.find("account-name-error").text == ""
    assert other.find("account-password").get_attribute("value") == "not her password"
    other.close_dialog()
    assert "guest" in other.find("account-open").text


def test_signed_out_everywhere_the_other_page_ends(ada, elsewhere):
    ada.find("account-open").click()
    ada.press("Sign out everywhere")
    elsewhere.until(lambda: elsewhere.find("ended").is_displayed(), "it has ended")
    assert elsewhere.saved("rollcall.account") is None
    ada.until_account("guest")
    ada.until_served()
    ada.say("as a guest")
    ada.until_sent("as a guest")
    assert ada.shown()[-1]["name"] == "Ada (guest)"
    elsewhere.find("again").click()
    elsewhere.asked()


def test_who_is_signed_out_leaves_nothing_of_private_rooms(ada, elsewhere):
    """The page saved what it had once more, ten seconds later or when it was left."""
    ada.make_room("back room", private=True).say("for us alone")
    ada.until_sent("for us alone")
    leave = "document.dispatchEvent(new Event('freeze', { bubbles: true }))"
    ada.driver.execute_script(leave)
    assert "for us alone" in json.dumps(ada.saved("rollcall.past"))
    elsewhere.find("account-open").click()
    elsewhere.press("Sign out everywhere")
    ada.until(lambda: ada.find("ended").is_displayed(), "it has ended")
    ada.driver.execute_script(leave)
    assert "for us alone" not in json.dumps(ada.saved("rollcall.past"))


def test_signed_out_here_nothing_of_private_rooms_is_kept_either(ada):
    ada.make_room("back room", private=True).say("for us alone")
    ada.until_sent("for us alone")
    ada.find("account-open").click()
    ada.press("Sign out")
    ada.until_account("guest")
    ada.until(lambda: "You are not in this room" in ada.strip(), "it is closed to guests")
    ada.driver.execute_script("document.dispatchEvent(new Event('freeze', { bubbles: true }))")
    assert "for us alone" not in json.dumps(ada.saved("rollcall.past"))


def test_signed_out_here_one_goes_on_as_a_guest_and_comes_back(ada):
    ada.find("text").send_keys("half a thought")
    ada.find("account-open").click()
    ada.press("Sign out")
    ada.until_account("guest")
    ada.until_served()
    assert ada.find("text").get_attribute("value") == "half a thought"
    ada.until(lambda: "Ada (guest)" in ada.find("account-open").text, "the name is kept for the account")
    ada.find("account-open").click()
    ada.fill_account("Ada", "four long words here")
    ada.until_account("registered")
    ada.until(lambda: ada.people() == ["Ada"], "one is oneself")


def test_another_tab_of_the_browser_is_the_same_person(ada):
    ada.open_twin()
    ada.until_served()
    ada.until_account("registered")
    ada.until(lambda: ada.find("people-count").text == "1 here", "there is one person")


def test_signed_out_in_one_tab_the_others_go_on_as_guests(ada):
    first = ada.driver.current_window_handle
    ada.open_twin()
    ada.until_account("registered")
    ada.find("account-open").click()
    ada.press("Sign out")
    ada.until_account("guest")
    ada.driver.switch_to.window(first)
    ada.until_account("guest")
    ada.until_served()
    assert not ada.find("ended").is_displayed()
    ada.say("still here")
    ada.until_sent("still here")


def test_a_guest_who_takes_the_name_is_told_what_others_see(browser, server, ada):
    guest = Person(browser(), server.url).open().join("ADA")
    guest.until(lambda: "Others see you as “ADA (guest)”" in guest.word(), "it is told")
    ada.until(lambda: sorted(ada.people()) == ["ADA (guest)", "Ada"], "others see that")


def test_a_void_token_makes_one_a_guest_and_loses_nothing(browser, server):
    chat = Person(browser(), server.url).open().join("Ada")
    token = '{"name":"Ada","token":"' + "x" * 43 + '"}'
    chat.driver.execute_script("localStorage.setItem('rollcall.account', arguments[0])", token)
    chat.find("text").send_keys("half a thought")
    chat.driver.refresh()
    chat.until(lambda: "You are signed out" in chat.word(), "it is said")
    chat.until_served()
    assert chat.find("text").get_attribute("value") == "half a thought"
    assert chat.saved("rollcall.account") is None


def test_what_one_page_has_read_the_other_has(server, ada, elsewhere):
    Room(server.url, "the-van").say(secrets.token_hex(16), "Grace", 1, "news")
    for page in (ada, elsewhere):
        page.until(lambda: page.badge("the-van") == "1", "it is new")
    ada.css("#rooms a[href='#the-van']").click()
    ada.until_shown("news")
    elsewhere.until(lambda: elsewhere.badge("the-van") == "", "it is not new any more")
    assert elsewhere.find("room-title").text == "lobby"


def test_what_one_has_read_is_told_while_people_talk(server, ada, elsewhere):
    """Each message put it off by a second, and the next room took the one before it along."""
    van, roof, key = Room(server.url, "the-van"), Room(server.url, "the-roof"), secrets.token_hex(16)
    roof.say(key, "Grace", 1, "news")
    van.say(key, "Grace", 1, "line 1")
    elsewhere.until(lambda: (elsewhere.badge("the-van"), elsewhere.badge("the-roof")) == ("1", "1"), "both are new")
    ada.go("the-roof").go("the-van")
    for n in range(2, 12):
        van.say(key, "Grace", n, f"line {n}")
        time.sleep(0.4)
        if elsewhere.badge("the-roof") == "" and elsewhere.badge("the-van") in ("", "1", "2"):
            return
    raise AssertionError("it is told to nobody while people talk")
