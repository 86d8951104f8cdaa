"""The pictures of the documents can be shown as images, by whoever shows them: whole, and with nothing from elsewhere."""

import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import pytest
from conftest import ROOT

PICTURES = ROOT.parent / "app/pictures"
STAGE = ROOT.parent / "app/stage/tests/page"
VERSION = re.search(r"VERSION: u32 = (\d+);", (ROOT.parent / "app/stage/src/event.rs").read_text())[1]
# Drawn by hand, and made of a recording.
MOST_BYTES, MOST_OF_A_RECORDING = 20_000, 150_000
# What an image may not do, or asks others for.
FORBIDDEN = re.compile(r"<(script|foreignObject|image|a|use|iframe)\b|\bhref=|\bon[a-z]+=|@import|url\((?!#)|https?://(?!www\.w3\.org/2000/svg)")


def check(picture, most):
    """By light and by dark, and aloud."""
    text = picture.read_text()
    assert len(text.encode()) <= most
    assert "prefers-color-scheme: dark" in text and "<text" in text
    assert FORBIDDEN.search(text) is None
    top = ElementTree.fromstring(text)
    assert top.tag.endswith("svg") and top.get("viewBox")
    assert top.find("{*}title").text and top.find("{*}desc").text
    return text


@pytest.mark.parametrize("name", sorted(it.name for it in PICTURES.glob("*.svg")))
def test_a_picture_is_whole_by_itself(name):
    check(PICTURES / name, MOST_OF_A_RECORDING if name == "roll-live.svg" else MOST_BYTES)


def draw(recording, picture):
    return subprocess.run([sys.executable, PICTURES / "roll_live.py", recording, picture], capture_output=True, text=True)


def test_a_roll_is_drawn_from_its_recording(tmp_path):
    """With everybody in it, in their places before and after, and what it came to."""
    recording, picture = tmp_path / "roll.jsonl", tmp_path / "roll.svg"
    subprocess.run([sys.executable, STAGE / "recording.py", recording, "40"], check=True)
    drawn = draw(recording, picture)
    assert drawn.returncode == 0, drawn.stderr
    text = check(picture, MOST_OF_A_RECORDING)
    assert "while 40 people talk" in text and text.count('class="dot') == 40
    # Nobody minds motion who has said so.
    assert text.index("@media (prefers-reduced-motion: no-preference)") < text.index("{animation:")


def test_what_is_no_roll_is_refused_in_a_line(tmp_path):
    recording = tmp_path / "roll.jsonl"
    for text, words in (
        ("", f"is no recording of the stage, version {VERSION}"),
        ("{", "is no recording of the stage: "),
        ('{"at": 0, "event": "stage", "v": 1}\n', f"is no recording of the stage, version {VERSION}"),
        (f'{{"at": 0, "event": "stage", "v": {VERSION}, "room": "lobby"}}\n', "no roll from its beginning to a good end"),
    ):
        recording.write_text(text)
        drawn = draw(recording, tmp_path / "roll.svg")
        assert drawn.returncode == 1 and words in drawn.stderr and drawn.stderr.count("\n") == 1, drawn.stderr
