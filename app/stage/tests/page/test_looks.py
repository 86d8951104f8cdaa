"""How the stage looks at each size, in the middle of each thing that happens: everything can be read from the last row, and
nothing lies over anything else. With `ROLLCALL_SCREENS` pictures are kept in that folder, for people to look at."""

import json
import os
import time
from pathlib import Path

import pytest
from recording import MOMENTS

SCREENS = os.environ.get("ROLLCALL_SCREENS")
REDUCED = "--force-prefers-reduced-motion"

# Name, width, height, people, flags.
SIZES = [
    ("1080p", 1920, 1080, 300, ()),
    ("4k", 3840, 2160, 300, ()),
    ("laptop", 1280, 800, 300, ()),
    ("beamer", 1024, 768, 300, ()),
    ("reduced", 1920, 1080, 300, (REDUCED,)),
    ("full-house", 1920, 1080, 2_000, ()),
]

HELD = {"ok": True, "clients": 300, "absent": 0, "messages": 6_012, "deliveries": 601_200, "lost": 0, "doubled": 0, "reordered": 0, "moves": 600}
# With what the page makes of them, which no reader of events minds.
VERDICTS = {
    "held": {**HELD, "shown": "Everyone is here."},
    "worst": {
        **HELD, "ok": False, "absent": 2_000, "clients": 2_000, "lost": 12_345, "doubled": 1_234, "reordered": 10_000, "skipped": {"forgetful": 12_300},
        "broken": ["lost", "duplicated", "reordered", "absent", "failed_sends", "late", "wrong_names"], "shown": "2,000 did not answer.",
    },
}

# What has words of its own: its box, and how large they are in units of a stage that is 1080 high.
TEXTS = """
const unit = Math.min(innerWidth / 1920, innerHeight / 1080);
return [...document.querySelectorAll("#stage *")].filter((it) => it.checkVisibility({ visibilityProperty: true }) && !it.closest("#talk") &&
  [...it.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim())).map((it) => {
    const range = document.createRange();
    range.selectNodeContents(it);
    const { left, top, right, bottom } = range.getBoundingClientRect();
    return { text: it.textContent.trim(), left, top, right, bottom, size: parseFloat(getComputedStyle(it).fontSize) / unit };
  });
"""

# Figures that are wider than their tile.
TOO_WIDE = """
return [...document.querySelectorAll("#figures dd, #figures dt, #verdict dd")].filter((it) => it.scrollWidth > it.clientWidth).map((it) => it.textContent);
"""


@pytest.mark.parametrize("size", SIZES, ids=[size[0] for size in SIZES])
def test_everything_can_be_read_whatever_happens(size, stage, recordings, browser):
    name, width, height, people, flags = size
    page = browser(stage("--replay", recordings(people)).url, width, height, *flags)
    for moment, at in MOMENTS.items():
        can_be_read(page.frozen(at), width, height, f"{name}-{moment}", 20)
    assert [line["message"] for line in page.driver.get_log("browser")] == []


@pytest.mark.parametrize("size", SIZES[:4], ids=[size[0] for size in SIZES[:4]])
@pytest.mark.parametrize("verdict", VERDICTS.items(), ids=VERDICTS)
def test_the_roll_call_can_be_read(verdict, size, stage, recordings, browser, tmp_path):
    (name, width, height, people, _), (is_it, told) = size, verdict
    lines = recordings(people).read_text()
    at = json.loads(lines.splitlines()[-1])["at"]
    (tmp_path / "judged.jsonl").write_text(lines + json.dumps({"at": at, "event": "verdict", **told}) + "\n")
    page = browser(stage("--replay", tmp_path / "judged.jsonl").url, width, height).frozen(at)
    assert page.text("#verdict h3") == told["shown"]
    can_be_read(page, width, height, f"{name}-roll-call-{is_it}", 15)


def can_be_read(page, width, height, name, least, folder=SCREENS):
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.driver.save_screenshot(str(Path(folder) / f"{name}.png"))
    texts = page.run(TEXTS)
    assert len(texts) > least
    for text in texts:
        assert text["size"] > 23.9, text
        assert text["left"] >= 0 and text["right"] <= width + 1 and text["bottom"] <= height + 1, text
    assert page.run(TOO_WIDE) == [], name
    over = [(a["text"], b["text"]) for n, a in enumerate(texts) for b in texts[n + 1 :] if overlap(a, b)]
    assert not over, name


def overlap(a, b):
    """A sentence and a word in bold within it are one."""
    if a["text"] in b["text"] or b["text"] in a["text"]:
        return False
    width = min(a["right"], b["right"]) - max(a["left"], b["left"])
    return width > 1 and min(a["bottom"], b["bottom"]) - max(a["top"], b["top"]) > 6


@pytest.mark.parametrize("flags", [(), (REDUCED,)], ids=["moving", "reduced"])
def test_a_moment_of_a_recording_is_the_same_picture_each_time(flags, stage, recordings, browser):
    url = stage("--replay", recordings(300)).url
    pages = [browser(url, 1920, 1080, *flags) for _ in range(2)]
    for at in MOMENTS.values():
        one, other = [page.frozen(at).driver.get_screenshot_as_png() for page in pages]
        assert one == other, f"at {at}"


@pytest.mark.skipif("ROLLCALL_FPS" not in os.environ, reason="how fast this machine draws is a figure, and no matter of right or wrong")
@pytest.mark.parametrize("people", [300, 2_000])
def test_frames_a_second(people, stage, recordings, browser):
    page = browser(stage("--replay", recordings(people)).url).open(**{"from": 3_000})
    page.until("shown().people.dots.size > 200", "it is played")
    told = []
    for _ in range(15):
        before = page.run("return [frames.drawn, performance.now()]")
        time.sleep(2)
        after = page.run("return [frames.drawn, performance.now()]")
        told.append(round((after[0] - before[0]) / (after[1] - before[1]) * 1000))
    print(f"\n{people} people: {told} frames a second")
