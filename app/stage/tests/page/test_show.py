"""The show that `./scripts/demo --stage` puts on: every act, by the page's keys, and whether the stage says what the checker says."""

import json
import os
import re
import signal
import subprocess
import time
import tomllib
import urllib.request
from pathlib import Path

import pytest
from audience import Audience
from conftest import KEY, REPOSITORY, STAGE, knowing, until
from stack import free_port
from test_looks import can_be_read

ACTS = REPOSITORY / "app/stage/show/acts.toml"
KEYS = {act["name"]: act["key"] for act in tomllib.loads(ACTS.read_text())["act"]}
CLIENTS = os.environ.get("ROLLCALL_SHOW")
PHONES = int(os.environ.get("ROLLCALL_PHONES", "10"))
# What a speaker has before them, and what the hall sees.
SIZES = {"1080p": (1920, 1080), "4k": (3840, 2160)}
# Where the show is, beside other stacks.
PLACE = os.environ.get("ROLLCALL_SHOW_PLACE", "--project rollcall-test --port 18080 --network 172.30.91 --stage-port 18070").split()
SCREENS = Path(os.environ.get("ROLLCALL_SCREENS", REPOSITORY / "reports/screens/stage"))
# The first run builds.
UP_SECONDS = 1_800
ACT_SECONDS = 180


def refused(*arguments, within=()):
    command = [*within, REPOSITORY / "scripts/demo", "--stage", *map(str, arguments)]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1 and ended.stdout == ""
    return ended.stderr


def test_what_cannot_be_shown_is_said_in_one_line_before_anything_is_done(stage, recordings, tmp_path):
    taken = stage("--replay", recordings(300)).url.split(":")[2].split("/")[0]
    assert refused("--stage-port", taken) == f"demo: port {taken} is taken by another program: end it, or choose another with --stage-port\n"
    assert refused("--acts", tmp_path / "none") == f"demo: cannot read the acts in {tmp_path}/none\n"
    assert refused("--roll-back").startswith("demo: --stage has the way back among its acts")
    alone = ("unshare", "--net")
    assert refused("--lan", within=alone) == "demo: this machine has no address for others: join a network first, or leave --lan out\n"
    acts = tmp_path / "acts.toml"
    acts.write_text(ACTS.read_text().replace('key = "r"', 'kay = "r"'))
    command = [STAGE, "--network", "172.30.90", "--acts", acts, "--port", str(free_port())]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    line = ACTS.read_text().split('key = "r"')[0].count("\n") + 1
    assert ended.returncode == 1 and ended.stderr.count("\n") == 1
    assert f"line {line}: unknown field `kay`" in ended.stderr


def test_every_act_of_the_file_is_one_that_can_be_done(stage):
    process = stage("--network", "172.30.90", "--acts", ACTS)
    with urllib.request.urlopen(urllib.request.Request(process.url, headers=knowing(process.url)), timeout=10) as answer:
        token = re.search(r'name="token" content="(\w{32})"', answer.read().decode())[1]
    request = urllib.request.Request(f"{process.url}/acts", headers=knowing(process.url) | {"x-stage-token": token})
    with urllib.request.urlopen(request, timeout=10) as answer:
        known = [act["name"] for act in json.load(answer)]
    assert known == list(KEYS)
    for name in known:
        ended = subprocess.run([ACTS.parent / "act", name], check=False, capture_output=True, text=True, timeout=60, env={"PATH": os.environ["PATH"]})
        assert ended.stderr == f"{name}: ./scripts/demo --stage runs this; without it SHOW_FOLDER says nothing\n"


def test_x_takes_away_what_the_hall_said_whatever_name_it_was_said_by(server, tmp_path):
    _, url, _ = server
    (tmp_path / "api-key").write_text(KEY)
    place = {"FOLDER": tmp_path, "STATE": tmp_path, "PROJECT": "none", "NETWORK": "none", "URL": url, "BOTS": "none", "CLIENTS": "1", "SETTINGS": ""}
    environment = {"PATH": os.environ["PATH"], **{f"SHOW_{name}": str(value) for name, value in place.items()}}

    def presses():
        ended = subprocess.run([ACTS.parent / "act", "remove"], check=False, capture_output=True, text=True, timeout=60, env=environment)
        return ended.returncode, ended.stderr

    def asked(path, body, method="POST", **headers):
        request = urllib.request.Request(f"{url}/api/v1/{path}", json.dumps(body).encode(), {"content-type": "application/json", **headers}, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)["data"]

    def messages():
        with urllib.request.urlopen(f"{url}/api/v1/rooms/the-plan/messages", timeout=10) as answer:
            return json.load(answer)["data"]["messages"]

    def say(name, text, n=1):
        client = name.encode().hex().ljust(32, "0")
        asked("rooms/the-plan/messages", {"client": client, "name": name, "n": n, "text": text})

    # A guest of ours, a bot of the cast, and what an operator does.
    say("Guest 1", "The pigeon did it.")
    (tmp_path / "guests").write_text(f"{messages()[-1]['member']}\n")
    token = asked("bots", {"name": "Teal"}, **{"x-api-key": KEY})["token"]
    asked("rooms/the-plan/messages", {"client": "b" * 32, "n": 1, "text": "Second gear."}, authorization=f"Bearer {token}")
    asked("rooms/the-plan", {"frozen": True}, "PATCH", **{"x-api-key": KEY})
    asked("rooms/the-plan", {"frozen": False}, "PATCH", **{"x-api-key": KEY})
    hecklers = ["Guest 7", "Probe", "Witness 3", "Hedy"]
    for name in hecklers:
        say(name, "Something rude")
    say("Guest 1", "Still here!", 2)
    for left in (3, 2, 1, 0):
        assert presses() == (0, "")
        assert [it["name"].removesuffix(" (guest)") for it in messages() if it.get("text") == "Something rude"] == hecklers[:left]
    assert presses() == (1, "remove: the hall has said nothing that is left\n")
    assert {"The pigeon did it.", "Second gear.", "Still here!"} < {it.get("text") for it in messages()}


class Show:
    """The demo as a process, its page, and somebody in the hall with a phone."""

    def __init__(self, browser, log):
        self.log = log
        self.place = dict(zip(PLACE[::2], PLACE[1::2], strict=True))
        command = [REPOSITORY / "scripts/demo", "--stage", "--lan", "--once", "--clients", CLIENTS, *PLACE]
        with open(log, "wb") as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True)
        self.wait_for(lambda: "The stage is yours" in self.log.read_text(), UP_SECONDS, "the stage is up")
        self.page = browser(f"http://127.0.0.1:{self.place['--stage-port']}/stage").open()
        self.page.until("shown().replicas.length === 3", "the page is told")
        self.taken = 0
        self.phone = browser(f"http://127.0.0.1:{self.place['--port']}/", 390, 844)

    def wait_for(self, true, seconds, what):
        deadline = time.monotonic() + seconds
        while not true():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, f"waited in vain: {what}\n{self.log.read_text()}"
            time.sleep(0.2)

    def join(self):
        self.phone.driver.get(f"{self.phone.url}#the-plan")
        until(lambda: self.phone.run("return document.getElementById('name')?.checkVisibility()"), "the page asks for a name")
        self.phone.driver.find_element("css selector", "#name").send_keys("Hedy\n")
        until(lambda: self.phone.run("return !document.getElementById('composer').hidden"), "one can write")

    def say(self, text):
        self.phone.driver.find_element("css selector", "#text").send_keys(f"{text}\n")
        self.heard(text)

    def heard(self, text):
        self.page.until(f"shown().said.some((it) => it.text === {json.dumps(text)})", f"{text} is heard")

    def texts(self, room):
        with urllib.request.urlopen(f"{self.phone.url}api/v1/rooms/{room}/messages", timeout=10) as answer:
            return [message["text"] for message in json.load(answer)["data"]["messages"]]

    def claps(self):
        return self.phone.run("return document.getElementById('clap')?.checkVisibility() ?? false")

    def act(self, name, words):
        """Presses its key, and waits for its end."""
        began = self.page.run("return shown().act.began")
        self.page.driver.find_element("css selector", "body").send_keys(KEYS[name])
        is_it = f"shown().act.act === '{name}' && shown().act.began > {began}"
        self.wait_for(lambda: self.page.run(f"return {is_it}"), 20, f"{name} begins")
        self.wait_for(lambda: self.page.run(f"return {is_it} && shown().act.ended < Infinity"), ACT_SECONDS, f"{name} ends")
        assert self.page.run("return shown().act.words") == words, self.log.read_text()
        # What flies has landed.
        time.sleep(1)
        self.taken += 1
        self.look(f"show-{self.taken:02}-{name}")

    def look(self, name):
        """All of it can be read at each size."""
        for kind, (width, height) in SIZES.items():
            self.page.resize(width, height)
            can_be_read(self.page, width, height, f"{name}-{kind}", 15, SCREENS)

    def audience(self, browser):
        """They come as the stage tells them: over plain http at this machine's address in its network."""
        join = re.search(r"The audience joins at (\S+)#hall", self.log.read_text())[1]
        assert "//127.0.0.1" not in join
        return Audience(browser, join.rstrip("/"), PHONES)

    def verdict(self):
        """What the page shows of the roll call, and what the checker wrote."""
        self.page.until("shown().verdict !== null && !document.getElementById('verdict').hidden", "the verdict is shown")
        return self.page.run("return shown().verdict"), json.loads((REPOSITORY / "reports/show/roll.json").read_text())

    def end(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGINT)
            self.process.wait(timeout=300)


@pytest.fixture
def show(browser, tmp_path):
    shown = Show(browser, tmp_path / "demo.log")
    yield shown
    shown.end()


def connections():
    """All connections of each name, by the stage's own recording: when it was opened, live, told to go, closed."""
    names, connections = {}, {}
    for line in (REPOSITORY / "reports/show/stage.jsonl").read_text().splitlines():
        event = json.loads(line)
        for step in event.get("list", []) if event["event"] == "connections" else []:
            place = (step["replica"], step["slot"], step["number"])
            if step["is"] == "opened":
                connections[place] = {}
                names.setdefault(step["name"], []).append(connections[place])
            connections.get(place, {})[step["is"]] = event["at"] - step.get("ago_ms", 0)
    return names


def moves_of(those, names):
    """Moves of those who are no bots."""
    others = [them for name, them in names.items() if name in those]
    # The next is live a little before or after the old one closes; after, if somebody reloads just then.
    follows = lambda it, next_one: it["closed"] - 1_000 < next_one.get("live", 0) < it["closed"] + 5_000 and next_one is not it
    return sum("goaway" in it and "closed" in it and any(follows(it, one) for one in them) for them in others for it in them)


def taken_back(those, names):
    """Moves of bots that were taken back, since their replica had the log again: if a bot was welcomed before, the checker
    counts its way there."""
    end = lambda it: it.get("closed", it.get("lost", float("inf")))
    stayed = lambda it, one: one["opened"] < it["opened"] and end(one) > it["closed"] + 1_000
    bots = [them for name, them in names.items() if name not in those]
    ended = [(it, them) for them in bots for it in them if "live" in it and "closed" in it and "goaway" not in it]
    return sum(any(stayed(it, one) for one in them) for it, them in ended)


def died():
    """Replicas that were gone, by the stage's own recording."""
    lines = (REPOSITORY / "reports/show/stage.jsonl").read_text().splitlines()
    told = [json.loads(line)["replicas"] for line in lines if '"event":"replicas"' in line]
    return {replica["name"] for replicas in told for replica in replicas for slot in replica["slots"] if slot["state"] == "down"}


@pytest.mark.skipif(not CLIENTS, reason="a whole show takes ten minutes: ROLLCALL_SHOW says with how many bots")
def test_a_whole_show(show, browser):
    show.join()
    show.act("doors", "Everybody is in, and talks")
    hall = show.audience(browser)
    show.say("Hello from row 7")
    assert not show.claps(), "1.0.0 has no applause"
    hall.before_a_roll()
    show.act("roll", "Rolled. Did you notice?")
    hall.after_a_roll("1")
    until(show.claps, "1.1.0 has applause")
    show.phone.driver.find_element("css selector", "#clap").click()
    show.heard("👏")
    hall.talk()
    hall.vote("r3", "r1")
    show.page.until(f"Object.values(shown().audience.votes).reduce((a, b) => a + b, 0) === {PHONES}", "all votes are counted")
    show.act("plug", "It is back, with its share of the people")
    assert died() == {"r3"}, "the one with most votes"
    assert show.page.run("return shown().audience.votes") == {}, "the vote is over"
    for wrong in ("bad", "slow"):
        show.act(wrong, "The canary refused it; nobody was moved there")
    show.act("redis", "Redis is back, and so is every message")
    show.act("freeze", "The room is frozen: only moderators speak")
    show.act("thaw", "Everybody may speak again")
    show.say("Something rude")
    show.act("remove", "What the hall said last is taken away")
    show.page.until("!shown().said.some((it) => it.text === 'Something rude')", "it is gone from the stage")
    show.act("back", "Back on what was there before")
    until(lambda: not show.claps(), "1.0.0 has no applause")
    hall.after_a_roll("0")
    assert not (Path("/var/lib/rollcall") / show.place["--project"] / "bad-releases.json").read_text().count("release")

    figures = show.page.run("return shown().figures")
    show.act("roll-call", "The roll is called")
    shown, report = show.verdict()
    assert report["ok"] and shown["ok"], report["details"]
    assert show.page.text("#verdict h3") == "Everyone is here."
    assert (shown["clients"], shown["absent"]) == (int(CLIENTS), 0)
    said = {name: (figures[name], shown[name], report[theirs]) for name, theirs in (("lost", "lost"), ("doubled", "duplicated"))}
    assert said == {"lost": (0, 0, 0), "doubled": (0, 0, 0)}
    others, told = {"Witness 1", "Witness 2", "Hedy", *hall.names}, connections()
    more = report["moves"] + moves_of(others, told) - figures["moved"]
    assert 0 <= more <= taken_back(others, told), "moves"
    assert hall.answer() == moves_of(hall.without_who_reloaded(), told), "moves, as phones see them"
    show.page.until(f"shown().audience.answered === {PHONES}", "all phones have answered")
    audience = show.page.run("return shown().audience")
    assert (audience["noticed"], audience["false_alarms"]) == (1, 1)
    show.look("show-hall-answered")

    show.act("doors", "Everybody is in, and talks")
    show.act("forgetful", "The canary saw nothing wrong. Shall we call the roll?")
    show.page.until("shown().figures.lost > 0", "a witness misses something, too")
    show.act("roll-call", "The roll is called")
    shown, report = show.verdict()
    assert not report["ok"] and shown["lost"] == report["lost"] > 0
    assert list(report["skipped"]) == ["forgetful"]
    assert show.page.text("#verdict h3") == "Not all arrived."
    assert "forgetful passed over a message" in show.page.text("#verdict")
    # Each has asked again for what it was not given.
    hall.answer()
    show.act("back", "Back on what was there before")
    show.page.driver.find_element("css selector", "body").send_keys(KEYS["curtain"])
    assert show.process.wait(timeout=300) == 1, "the last roll call said no"
    assert "the last roll call said that something was not as promised" in show.log.read_text()
    standing = subprocess.run(["docker", "ps", "--all", "--quiet", "--filter", f"label=rollcall.project={show.place['--project']}"], check=True, capture_output=True)
    assert standing.stdout == b""
