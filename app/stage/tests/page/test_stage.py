"""The stage as a process: what it shows of a recording and of a real server, and what it refuses."""

import json
import os
import re
import signal
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import websocket
from conftest import KEY, STAGE, STAGE_KEY, knowing, until
from recording import MOMENTS, VERSION
from stack import free_port

LAST_MS = 39_900


def figures(page):
    shown = page.run("return [...document.querySelectorAll('#figures dd')].map((it) => it.textContent)")
    return dict(zip(("lost", "doubled", "moved", "silence"), shown, strict=True))


def test_a_whole_roll_and_a_kill_are_told_right(stage, recordings, browser):
    page = browser(stage("--replay", recordings(300)).url)
    page.frozen(MOMENTS["roll"])
    assert "replica 2 of 3: drain" in page.text("#words")
    assert page.text(".replica:nth-child(1) .steps li:nth-child(3)") == "drain 100 ✓"
    moved, told = page.text(".replica:nth-child(2) .steps .now").removeprefix("drain ").split(" / ")
    assert 0 < int(moved) < int(told) == 100
    assert page.text("#releases") == "1.0.0→1.1.0"
    page.frozen(MOMENTS["killed"])
    assert page.text(".replica:nth-child(2) [data-state=down] .word") == "gone"
    assert page.run("return [...shown().people.dots.values()].filter((it) => it.lostAt < Infinity).length") > 50
    page.frozen(LAST_MS)
    assert figures(page) == {"lost": "0", "doubled": "0", "moved": "300", "silence": "1.4 s"}
    assert page.run("return shown().people.dots.size") == 300
    assert page.run("return shown().links.list.every(({ isCut, isLost }) => !isCut && !isLost)")


def test_a_drain_that_forced_somebody_is_no_good_one(stage, recordings, browser, tmp_path):
    lines = [json.loads(line) for line in recordings(300).read_text().splitlines()]
    ends = [line for line in lines if line["event"] == "phase" and (line["phase"], line["is"]) == ("drain", "end")]
    ends[0].update(moved=38, forced=62)
    changed = tmp_path / "forced.jsonl"
    changed.write_text("".join(json.dumps(line) + "\n" for line in lines))
    page = browser(stage("--replay", changed).url)
    page.frozen(MOMENTS["roll"])
    assert page.text(".replica:nth-child(1) .steps .failed") == "drain 38 · 62 forced"


def test_a_lost_message_a_doubled_one_and_a_replica_that_the_proxy_does_not_use_are_seen(stage, recordings, browser, tmp_path):
    lines = [json.loads(line) for line in recordings(300).read_text().splitlines()]
    said = [line for line in lines if line["event"] == "message" and line["witness"] == 1]
    lines.remove(said[-4])
    lines.append({**said[-2], "at": lines[-1]["at"]})
    server = {"replica": "r1", "slot": "green", "status": "MAINT", "sessions": 0}
    lines.append({"at": lines[-1]["at"], "event": "proxy", "servers": [server]})
    spoiled = tmp_path / "spoiled.jsonl"
    spoiled.write_text("".join(json.dumps(line) + "\n" for line in lines))
    page = browser(stage("--replay", spoiled).url).frozen(40_000)
    links = page.run("return shown().links.list.slice(-4).map(({ isLost, seen }) => [isLost, seen[1] ?? 0])")
    assert page.text("[data-place='r1/green'] .word") == "no newcomers · 150"
    assert links == [[True, 0], [False, 1], [False, 2], [False, 1]]


def test_a_recording_is_played_to_its_end(stage, recordings, browser):
    page = browser(stage("--replay", recordings(300)).url).open(**{"from": 38_000})
    page.until("document.querySelector('#words').textContent === 'r2 is back'", "the last act is over")
    page.until("shown().figures.at > 39_500", "the last event is there")
    assert page.run("return document.getElementById('notice').hidden")


def test_a_page_comes_again_when_the_stage_does(stage, recordings, browser):
    process = stage("--replay", recordings(300))
    page = browser(process.url).open(**{"from": 20_000})
    page.until("shown().people.dots.size === 300", "all are there")
    process.kill()
    page.until("!document.getElementById('notice').hidden", "it says that it is told nothing")
    process.start()
    # It is another process, whose token another page has.
    reloaded = "performance.getEntriesByType('navigation')[0].type === 'reload'"
    page.until(f"{reloaded} && window.shown && shown().people.dots.size === 300", "all are there again")
    assert page.run("return document.getElementById('notice').hidden")


@pytest.fixture
def with_an_act(stage, tmp_path):
    """A stage where nothing is, which can do one thing: its process, and the file that this makes."""
    (tmp_path / "acts.toml").write_text(f"[[act]]\nname = 'bow'\nkey = 'w'\nwords = 'A bow'\ndone = ''\ncommand = ['touch', '{tmp_path}/bowed']\n")
    return stage("--replica", f"r1=127.0.0.1:{free_port()}", "--acts", tmp_path / "acts.toml"), tmp_path / "bowed"


def press(page, key):
    page.driver.find_element("css selector", "body").send_keys(key)


NOTICE = "document.getElementById('notice')"
AWAY = f"{NOTICE}.checkVisibility() && {NOTICE}.textContent.startsWith('The stage is not told anything')"


def test_a_stage_that_hangs_is_seen_and_does_nothing_late(with_an_act, browser):
    process, bowed = with_an_act
    page = browser(process.url).open()
    acts = "performance.getEntriesByType('resource').some((it) => it.name.endsWith('/stage/acts') && it.responseEnd > 0)"
    page.until(f"shown().replicas.length === 1 && {acts}", "it is told what there is, and what can be done")
    process.process.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    page.until(AWAY, "it says that it is told nothing")
    assert time.monotonic() - began < 6
    press(page, "w")
    page.until(f"{NOTICE}.textContent === 'bow: the stage does not answer, and does not do it'", "its speaker is told")
    process.process.send_signal(signal.SIGCONT)
    page.until(f"{NOTICE}.hidden", "it is told again")
    # That is a key of the browser's.
    page.run("dispatchEvent(new KeyboardEvent('keydown', { key: 'w', altKey: true }))")
    time.sleep(1)
    assert not bowed.exists()
    press(page, "w")
    until(bowed.exists, "it does what it is asked now")
    time.sleep(3)
    assert page.run(f"return {NOTICE}.hidden"), "nothing happens, and it is alive"


def test_keys_are_heard_however_many_pages_are_open(with_an_act, browser):
    process, bowed = with_an_act
    page = browser(process.url).open()
    page.until("shown().replicas.length === 1", "it is told")
    first = page.driver.current_window_handle
    for _ in range(3):
        page.driver.switch_to.new_window("tab")
        page.open().until("shown().replicas.length === 1", "this one, too")
    for _ in range(2):
        page.driver.switch_to.new_window("tab")
        page.open().until(f"{NOTICE}.textContent.startsWith('Too many pages')", "this is one too many")
    page.driver.switch_to.window(first)
    press(page, "w")
    until(bowed.exists, "a key does what is on it")
    page.driver.close()
    until(lambda: sum(is_told(page, handle) for handle in page.driver.window_handles) == 4, "one that waited goes on")


def is_told(page, handle):
    page.driver.switch_to.window(handle)
    return page.run("return shown().replicas.length === 1")


def test_a_page_that_could_not_load_a_part_tries_again(stage, recordings, browser):
    page = browser(stage("--replay", recordings(300)).url)
    page.driver.execute_cdp_cmd("Network.enable", {})
    page.driver.execute_cdp_cmd("Network.setBlockedURLs", {"urls": ["*/line.js"]})
    page.open(**{"from": 20_000})
    assert page.run("return window.shown === undefined"), "nothing is shown without it"
    page.driver.execute_cdp_cmd("Network.setBlockedURLs", {"urls": []})
    page.until("window.shown && shown().people.dots.size === 300", "it is loaded again")


def test_only_this_machine_may_look(stage, recordings):
    url = stage("--replay", recordings(300)).url
    with urllib.request.urlopen(f"{url}/web/icon.svg", timeout=10) as answer:
        assert answer.headers["cross-origin-resource-policy"] == "same-origin", "nor may a page from elsewhere show its pictures"
    request = urllib.request.Request(url, headers={"host": "rollcall.example"})
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(request, timeout=10)


def test_each_fault_is_one_plain_line(tmp_path, recordings, stage):
    older = tmp_path / "older.jsonl"
    older.write_text('{"at":0,"event":"stage","v":1,"room":"lobby"}\n')
    taken = stage("--replay", recordings(300)).url.split(":")[2].split("/")[0]
    os.mkfifo(tmp_path / "pipe")
    faults = [
        (["--replay", tmp_path / "pipe"], "pipe is no recording: it is no regular file"),
        (["--replay", "/dev/zero"], "/dev/zero is no recording: it is no regular file"),
        (["--replay", tmp_path], "is no recording: it is no regular file"),
        (["--replay", older], f"it is of version 1, and this program shows version {VERSION}"),
        (["--replay", tmp_path / "none"], "cannot read the recording"),
        (["--replay", recordings(300), "--port", taken], f"cannot listen on 127.0.0.1:{taken}: try another --port"),
        ([], "name the stack that is shown by --network or --replica, or a recording by --replay"),
        (["--network", "nowhere"], "--network takes three numbers, such as 172.30.90, and not \"nowhere\""),
        (["--network", "172.30.90", "--record", "/nowhere/at/all"], "cannot record into /nowhere/at/all"),
    ]
    for arguments, words in faults:
        port = [] if "--port" in arguments else ["--port", str(free_port())]
        ended = subprocess.run([STAGE, *map(str, arguments), *port], check=False, capture_output=True, text=True, timeout=60)
        assert ended.returncode == 1, arguments
        assert words in ended.stderr and ended.stderr.count("\n") == 1, ended.stderr


def refusal(url, headers=()):
    with pytest.raises(urllib.error.HTTPError, match="403") as refused:
        urllib.request.urlopen(urllib.request.Request(url, headers=dict(headers)), timeout=10)
    return refused.value.read().decode()


def test_a_stage_that_can_act_is_for_whoever_has_its_key(with_an_act, stage, browser, monkeypatch):
    acting = with_an_act[0]
    monkeypatch.setenv("ROLLCALL_STAGE_WIFI", "WIFI:T:WPA;S:Hall;P:a secret;;")
    wifi = stage("--replica", f"r1=127.0.0.1:{free_port()}", "--join", "http://10.0.0.5:8080")
    monkeypatch.delenv("ROLLCALL_STAGE_WIFI")
    assert urllib.request.urlopen(urllib.request.Request(f"{wifi.url}/wifi.svg", headers=knowing(wifi.url)), timeout=10).status == 200
    for process in (acting, wifi):
        assert Path(process.log).read_text() == f"The stage is at {process.url}?key={STAGE_KEY}\n"
        wrong = {"cookie": f"stage-{process.url.split(':')[2].split('/')[0]}={STAGE_KEY[:-1]}"}
        for path in ("", f"?key={STAGE_KEY}0", "/", "/acts", "/acts/bow", "/events", "/join.svg", "/wifi.svg", "/web/main.js"):
            for headers in ({}, wrong, {"x-stage-token": token(process.url)}):
                assert refusal(f"{process.url}{path}", headers) == "open the address that the stage printed when it began\n", path
    page = browser(acting.url).open()
    page.until("shown().replicas.length === 1", "its speaker sees it")
    assert page.run("return location.href + document.cookie") == acting.url, "neither the hall nor a script sees the key"
    acting.kill()
    acting.command = ["env", "ROLLCALL_STAGE_KEY=anotherkeyanotherkey", *acting.command]
    acting.process = subprocess.Popen(acting.command, stdout=subprocess.DEVNULL)
    page.until(f"{NOTICE}.textContent === 'The stage does not tell this page anything: open the address that it printed'", "another one refuses it")


def test_a_recording_that_a_full_disk_has_cut_is_shown_without_its_last_line(stage, recordings, browser, tmp_path):
    cut = tmp_path / "cut.jsonl"
    cut.write_bytes(recordings(300).read_bytes()[:-20])
    process = stage("--replay", cut)
    assert f"rollcall-stage: the last line of {cut} is not whole, and is left out\n" in Path(process.log).read_text()
    page = browser(process.url).frozen(LAST_MS)
    assert page.run("return shown().people.dots.size") == 300


def ask_hall(url, topic):
    headers = {"content-type": "application/json", "x-api-key": KEY}
    request = urllib.request.Request(f"{url}/api/v1/rooms/hall", json.dumps({"topic": topic}).encode(), headers, method="PATCH")
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 200


def token(url):
    with urllib.request.urlopen(urllib.request.Request(url, headers=knowing(url)), timeout=10) as answer:
        return re.search(r'name="token" content="(\w{32})"', answer.read().decode())[1]


def say(url, n, text, room="lobby", who="7"):
    body = json.dumps({"client": "0" * 31 + who, "name": "Teal", "n": n, "text": text}).encode()
    request = urllib.request.Request(f"{url}/api/v1/rooms/{room}/messages", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 200


def sit(url, who):
    """Somebody who is connected, as whoever wants a voice has to be."""
    connection = websocket.create_connection(url.replace("http", "ws") + "/api/v1/ws", timeout=10)
    hello = {"type": "hello", "v": 1, "client": "0" * 31 + who, "name": "Teal", "why": "fresh", "moves": True, "rooms": [{"room": "hall"}]}
    connection.send(json.dumps(hello))
    return connection


def test_a_real_server_is_shown_killed_and_shown_again(server, stage, browser, tmp_path):
    process, url, admin = server
    bow = {"name": "bow", "key": "w", "words": "A bow", "done": "Thank you", "command": ["touch", f"{tmp_path}/bowed"]}
    (tmp_path / "acts.toml").write_text("[[act]]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in bow.items()))
    recording = tmp_path / "live.jsonl"
    shown = stage("--url", url, "--replica", f"r1={admin}", "--record", recording, "--acts", tmp_path / "acts.toml")
    page = browser(shown.url).open()
    live = "[...shown().people.dots.values()].filter((it) => it.liveAt < Infinity && it.lostAt === Infinity).length === 2"
    page.until(f"shown().replicas[0]?.slots[0].state === 'up' && {live}", "both witnesses are there")
    page.until("shown().figures.here === 0", "they are no people")
    for n in (1, 2, 3):
        say(url, n, f"line {n}")
    page.until("shown().links.list.filter(({ seen }) => seen[0] === 1 && seen[1] === 1).length === 3", "both have got all of it")
    assert "Teal line 3" in page.text("#talk")
    page.driver.find_element("css selector", "body").send_keys("w")
    page.until("document.querySelector('#words').textContent === 'Thank you'", "what is on a key is done")
    assert (tmp_path / "bowed").exists()
    for headers in ({}, {"x-stage-token": "0" * 32}, {"x-stage-token": token(shown.url), "origin": "http://elsewhere.example"}):
        request = urllib.request.Request(f"{shown.url}/acts/bow", b"", knowing(shown.url) | headers)
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(request, timeout=10)
    process.kill()
    page.until("document.querySelector('[data-state=down]') && document.querySelector('#words').textContent === 'r1 is gone'", "it is gone")
    process.start()
    # Its log was in its memory.
    rewound = "The log has lost what came last"
    page.until(f"document.querySelector('#words').textContent === '{rewound}' && {live}", "both are back")
    assert page.run("return shown().figures.lost") == 0
    page.until("shown().figures.cut === 2 && shown().figures.silence_ms > 0", "what that cost is counted")
    late = browser(shown.url).open()
    late.until(f"shown().links.list.length === 3 && {live}", "a page that opens late is told all of it")
    shown.kill()
    again = browser(stage("--replay", recording).url).frozen(json.loads(recording.read_text().splitlines()[-1])["at"])
    assert again.run("return shown().figures") == page.run("return shown().figures")
    assert again.text("#words") == rewound


def test_the_hall_is_asked_and_what_phones_say_there_is_counted(server, stage, browser, tmp_path):
    _, url, admin = server
    act = {"name": "plug", "key": "p", "words": "Pulling the plug", "command": ["sh", "-c", f'printf %s "$VOTED" > {tmp_path}/voted']}
    (tmp_path / "acts.toml").write_text("[[act]]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in act.items()))
    wifi = "WIFI:T:WPA;S:The Hall;P:a secret;;"
    options = ["--replica", f"r1={admin}", "--replica", f"r2=127.0.0.1:{free_port()}", "--acts", tmp_path / "acts.toml"]
    recording = tmp_path / "hall.jsonl"
    shown = stage("--url", url, *options, "--join", url, "--wifi", wifi, "--record", recording)
    page = browser(shown.url).open()
    seats = [sit(url, who) for who in "789"]
    page.until("shown().people.dots.size === 5", "both witnesses are there, and three people")

    def ask(topic):
        """Returns once the stage is told, which goes another way than what people say."""
        ask_hall(url, topic)
        until(lambda: f'"topic":"{topic}"' in recording.read_text(), "the stage is told")
        for seat in seats:
            # Somebody who says nothing for 12 s is gone, and has no voice.
            seat.ping()

    assert page.text("#address") == f"{url.removeprefix('http://')}/#hall" and page.text("#wifi figcaption") == "1. Wi-Fi The Hall"
    ask("ask 1 r1 r2")
    for who, texts in {"7": ["vote 1 r1", "noticed"], "8": ["vote 1 r2", "vote 0 r1"], "9": ["vote 1 r1", "vote 1 r2"]}.items():
        for n, text in enumerate(texts):
            say(url, n + 1, text, "hall", who)
    for n in range(5):
        say(url, 1, "vote 1 r1", "hall", "abcde"[n])
    page.until("Object.values(shown().audience.votes).length === 2", "they have voted")
    ask("roll call 2")
    for who, text in (("7", "here 1 3 of 3, moved 0, silent 0 ms"), ("8", "here 2 3 of 3, moved 0, silent 0 ms")):
        say(url, 3, text, "hall", who)
    page.until("document.querySelector('#audience').textContent === '0 noticed · 1 false alarm · 1 answered'", "they are counted")
    votes = [page.text(f".replica:nth-child({n}) .votes") for n in (1, 2)]
    assert votes == ["1 vote", "2 votes"] and page.run("return document.querySelectorAll('.votes.most').length") == 1
    assert page.run("return shown().said.length") == 0
    page.driver.find_element("css selector", "body").send_keys("p")
    until(lambda: (tmp_path / "voted").exists() and (tmp_path / "voted").read_text() == "r2", "its program knows")
    ask_hall(url, "ask 3 r1 r2")
    page.until("document.querySelector('.votes').hidden", "it is asked who dies next")
    assert page.text("#audience") == "0 noticed · 1 false alarm · 1 answered"
    ask_hall(url, "roll call 2")
    page.until("document.querySelector('#audience').textContent === '0 noticed · 1 false alarm'", "the roll is called anew")
    if screens := os.environ.get("ROLLCALL_SCREENS"):
        page.driver.save_screenshot(f"{screens}/hall-counted.png")
    for seat in seats:
        seat.close()
    shown.kill()
    assert "secret" not in recording.read_text()
