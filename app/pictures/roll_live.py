# Apache-2.0
"""Draws a roll that the stage recorded, as an animated SVG that needs no script. scripts/record runs it."""

import argparse
import json
import re
import sys
from collections import defaultdict
from pathlib import Path
from xml.sax.saxutils import escape

# Of the events, as the stage has it.
EVENTS = Path(__file__).resolve().parents[1] / "stage/src/event.rs"
VERSION = int(re.search(r"VERSION: u32 = (\d+);", EVENTS.read_text(encoding="utf-8"))[1])
MOST_BYTES = 150_000
# So many ms before the deploy begins and after it ends.
BEFORE, AFTER = 1500, 2500
# It is shown so many times as fast as it was.
SPEED = 2
# How long a dot flies, and a ring is seen, in ms of the recording.
FLIGHT, RING = 700, 500
# In which the stage is told what became of connections.
STEP = 100
WIDTH, HEIGHT, MARGIN = 980, 440, 28
# Of replicas, and of the seats in a slot.
BOX_TOP, BOX_HEIGHT, GAP = 86, 184, 19
SEATS, PITCH, DOT = 6, 20, 5.8
TICKS_TOP = 316

STYLE = """
svg { --page: #fff; --box: #f3f5f8; --line: #b9c2cf; --ink: #1b2430; --soft: #566273; --old: #2f6fde; --new: #1d8a55; --ring: #b4561a }
@media (prefers-color-scheme: dark) { svg { --page: #11161d; --box: #1b222c; --line: #45505f; --ink: #e8edf3; --soft: #9fabba;
  --old: #7fabff; --new: #5ccf94; --ring: #ffd479 } }
text { fill: var(--ink); font: 15px system-ui, "Segoe UI", "DejaVu Sans", sans-serif }
.page { fill: var(--page) } .box { fill: var(--box) } .title { font-size: 20px; font-weight: 600 } .soft { fill: var(--soft); font-size: 13.5px }
.name, .phase { font-weight: 600 } .end { text-anchor: end } .figure { font-size: 34px; font-weight: 650; font-variant-numeric: tabular-nums }
.slot { fill: none; stroke-width: 1.6 } .idle { stroke: var(--line); stroke-dasharray: 5 4 } .old { stroke: var(--old) } .new { stroke: var(--new) }
.oldtext { fill: var(--old) } .newtext { fill: var(--new) } .dot { fill: var(--old) } .moved { fill: var(--new) }
.ring { fill: none; stroke: var(--ring); stroke-width: 2; opacity: 0 } .tick { stroke-width: 2 } .hand { stroke: var(--ink); stroke-width: 1.5 }
.off { opacity: 0 }
"""


def stop(words):
    sys.exit(f"record: {words}")


def read(path):
    """The events of a recording."""
    try:
        events = [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as error:
        stop(f"{path} is no recording of the stage: {error}")
    if not events or events[0].get("event") != "stage" or events[0].get("v") != VERSION:
        stop(f"{path} is no recording of the stage, version {VERSION}")
    return events


class Roll:
    """A roll, as a recording has it: times are ms since the beginning of the picture."""

    def __init__(self, events):
        deploy = [it for it in events if it["event"] == "phase" and it["phase"] == "deploy"]
        rolls = [it for it in deploy if it["is"] == "begin" and it.get("what", "").startswith("rolling")]
        ends = [it for it in deploy if it["is"] == "end" and rolls and it["at"] > rolls[-1]["at"]]
        if not ends or ends[0].get("outcome") != "done":
            stop("the recording has no roll from its beginning to a good end")
        self.begin = rolls[-1]["at"] - BEFORE
        self.length = ends[0]["at"] + AFTER - self.begin
        self.slots = {}  # (replica, slot) → [(when, release, state)]
        self.people = {}  # member → [(when, (replica, slot))]
        self.phases = defaultdict(list)  # replica → [(when, phase)]
        self.moves, self.said, self.figures = [], [], {}
        self.open, self.live = {}, defaultdict(dict)
        for event in events:
            if event["at"] <= self.begin + self.length:
                getattr(self, "on_" + event["event"], lambda event: None)(event)
        releases = [release for states in self.slots.values() for _, release, _ in states if release]
        self.releases = sorted(set(releases), key=releases.index)[:2]

    def when(self, event, ago=0):
        return max(0, event["at"] - ago - self.begin)

    def on_replicas(self, event):
        for replica in event["replicas"]:
            for slot in replica["slots"]:
                states = self.slots.setdefault((replica["name"], slot["slot"]), [])
                state = (slot.get("release"), slot["state"])
                if not states or states[-1][1:] != state:
                    states.append((self.when(event), *state))

    def on_connections(self, event):
        for step in event["list"]:
            slot = (step["replica"], step["slot"])
            connection = (*slot, step["number"])
            when = self.when(event, step.get("ago_ms", 0))
            if step["is"] == "opened" and not step["name"].startswith(("Witness ", "smoke")):
                self.open[connection] = step["member"]
            elif step["is"] == "live" and connection in self.open:
                self.is_live(self.open[connection], connection, slot, when)
            elif step["is"] in ("closed", "forced", "lost"):
                member = self.open.pop(connection, None)
                self.live[member].pop(connection, None)
                if member and not self.live[member]:
                    self.people[member] = self.people.get(member, []) + [(when, None)]

    def is_live(self, member, connection, slot, when):
        places = self.people.setdefault(member, [])
        # Replicas tell in steps, each of its own side: within one it is not known which came first.
        if places and places[-1][1] is None and when - places[-1][0] <= STEP:
            places.pop()
        if places and places[-1][1] and when > 0:
            self.moves.append(when)
        self.live[member][connection] = slot
        places.append((when, slot))

    def on_phase(self, event):
        if event["at"] < self.begin:
            return
        if event.get("replica") and event["is"] == "begin":
            self.phases[event["replica"]].append((self.when(event), event["phase"]))
        elif event.get("replica") and event["phase"] == "stop":
            self.phases[event["replica"]].append((self.when(event), "rolled"))

    def on_message(self, event):
        if event["witness"] == 0 and not event.get("kind") and not event.get("broken") and event["at"] > self.begin:
            self.said.append((self.when(event), event["member"], event.get("release")))

    def on_figures(self, event):
        self.figures = event


class Drawing:
    """The animation: each part that changes has a rule of its own, and is drawn as it is at one moment where nothing moves."""

    def __init__(self, roll):
        self.roll = roll
        self.rules, self.parts = [], []
        # In the middle of the second drain most is to be seen.
        moves = sorted(roll.moves)
        self.still = moves[len(moves) // 2] if moves else roll.length // 2
        self.names = sorted({replica for replica, _ in roll.slots})
        self.width = (WIDTH - 2 * MARGIN - GAP * (len(self.names) - 1)) / len(self.names)

    def percent(self, when):
        return f"{max(0.0, min(100.0, 100 * when / self.roll.length)):.2f}".rstrip("0").rstrip(".") + "%"

    def animate(self, frames, easing="step-end"):
        """A rule for what is so from each of these moments on; its class."""
        name = f"a{len(self.rules)}"
        frames = "".join(f"{self.percent(when)}{{{what}}}" for when, what in frames)
        self.rules.append((name, frames, easing))
        return name

    def shown(self, spans):
        """The classes of something that is seen in these spans."""
        frames = [(0, "opacity:0")]
        for begin, end in spans:
            frames += [(begin, "opacity:1"), (end, "opacity:0")]
        is_still = any(begin <= self.still < end for begin, end in spans)
        return self.animate(frames) + ("" if is_still else " off")

    def add(self, text):
        self.parts.append(text)

    def place(self, slot):
        """Where a slot's box is: left, top, width, height."""
        replica, colour = slot
        left = MARGIN + self.names.index(replica) * (self.width + GAP)
        half = (self.width - 36) / 2
        return left + 12 + (colour == "green") * (half + 12), BOX_TOP + 40, half, BOX_HEIGHT - 52

    def seat(self, slot, number):
        left, top, width, _ = self.place(slot)
        x = left + (width - (SEATS - 1) * PITCH) / 2 + number % SEATS * PITCH
        return f"{x:.1f}", f"{top + 40 + number // SEATS * PITCH:.1f}"

    def release_class(self, release):
        return "new" if release == self.roll.releases[-1] and len(self.roll.releases) > 1 else "old"

    def boxes(self):
        for index, name in enumerate(self.names):
            left = MARGIN + index * (self.width + GAP)
            self.add(f'<rect class="box" x="{left:.1f}" y="{BOX_TOP}" width="{self.width:.1f}" height="{BOX_HEIGHT}" rx="10"/>')
            self.add(f'<text class="name" x="{left + 14:.1f}" y="{BOX_TOP + 26}">{escape(name)}</text>')
            phases = self.roll.phases[name]
            for (begin, phase), (end, _) in zip(phases, [*phases[1:], (self.roll.length, "")], strict=True):
                kind = "phase end newtext" if phase == "rolled" else "phase end"
                words = {"drain": "drain: everybody moves", "rolled": "rolled ✓"}.get(phase, phase)
                right = left + self.width - 14
                self.add(
                    f'<text class="{kind} {self.shown([(begin, end)])}" x="{right:.1f}" y="{BOX_TOP + 26}">{escape(words)}</text>'
                )
        for slot, states in self.roll.slots.items():
            self.slot(slot, states)

    def slot(self, slot, states):
        left, top, width, height = self.place(slot)
        rect = f'x="{left:.1f}" y="{top}" width="{width:.1f}" height="{height}" rx="7"/>'
        self.add(f'<rect class="slot idle" {rect}')
        spans = defaultdict(list)
        for (begin, release, state), (end, *_) in zip(states, [*states[1:], (self.roll.length,)], strict=True):
            if state in ("up", "draining") and release:
                spans[release].append((begin, end))
        for release, times in spans.items():
            kind, seen = self.release_class(release), self.shown(times)
            self.add(f'<g class="{seen}"><rect class="slot {kind}" {rect}')
            self.add(f'<text class="name {kind}text" x="{left + 10:.1f}" y="{top + 21}">{escape(release)}</text></g>')

    def dots(self):
        """Each takes the first free seat, and leaves it free when it goes."""
        taken = defaultdict(dict)
        steps = [(when, member, slot) for member, places in self.roll.people.items() for when, slot in places]
        seats = defaultdict(list)
        for when, member, slot in sorted(steps, key=lambda step: step[0]):
            for others in taken.values():
                others.pop(member, None)
            if slot:
                number = next(it for it in range(len(taken[slot]) + 1) if it not in taken[slot].values())
                taken[slot][member] = number
                release = self.release_at(slot, when)
                seats[member].append((when, (*self.seat(slot, number), self.release_class(release))))
        spoken = defaultdict(list)
        for when, member, _ in self.roll.said:
            spoken[member].append(when)
        for member, places in seats.items():
            self.dot(places, spoken[member])

    def release_at(self, slot, when):
        known = [release for begin, release, _ in self.roll.slots[slot] if release and begin <= max(when, 1)]
        return known[-1] if known else None

    def dot(self, places, spoken):
        # Where somebody was before it begins is where they are then.
        early = [place for place in places if place[0] <= 0][-1:] or places[:1]
        places = [(0, early[0][1]), *[place for place in places if place[0] > 0 and place is not early[0]]]
        frames, colours = [], []
        for (when, (x, y, kind)), before in zip(places, [None, *places], strict=False):
            if before:
                bx, by, _ = before[1]
                frames.append((when, f"transform:translate({bx}px,{by}px)"))
            frames.append((when + FLIGHT if before else 0, f"transform:translate({x}px,{y}px)"))
            colours.append((when + FLIGHT / 2 if before else 0, f"fill:var(--{kind})"))
        now = [place for place in places if place[0] <= self.still][-1][1]
        frames.append((self.roll.length, frames[-1][1]))
        moving = self.animate(frames, "cubic-bezier(.5,0,.3,1)") if len(places) > 1 else ""
        colour = self.animate(colours) if len(places) > 1 else ""
        ring = ""
        if spoken:
            pulses = [frame for when in spoken for frame in ((when, "opacity:1"), (when + RING, "opacity:0"))]
            ring = f'<circle class="ring {self.animate([(0, "opacity:0"), *pulses])}" r="8"/>'
        kind = "dot moved" if now[2] == "new" else "dot"
        self.add(
            f'<g class="{moving}" transform="translate({now[0]} {now[1]})"><circle class="{kind} {colour}" r="{DOT}"/>{ring}</g>'
        )

    def talk(self):
        """A tick for each message, which the time uncovers."""
        left, right = MARGIN, WIDTH - MARGIN
        width = right - left
        now = width * self.still / self.roll.length
        words = "the talk: a tick for each message, in the colour of the release that took it"
        self.add(f'<text class="soft" x="{left}" y="{TICKS_TOP - 10}">{words}</text>')
        self.clock(right)
        ticks = defaultdict(str)
        for when, _, release in self.roll.said:
            ticks[self.release_class(release)] += f"M{left + width * when / self.roll.length:.1f} {TICKS_TOP}v20"
        uncover = self.animate([(0, "transform:scaleX(0)"), (self.roll.length, "transform:scaleX(1)")], "linear")
        self.add(
            f'<clipPath id="told"><rect class="{uncover}" style="transform-origin:{left}px 0" x="{left}" y="{TICKS_TOP - 2}" '
            f'width="{width}" height="24" transform="scale({now / width:.4f} 1)"/></clipPath>'
        )
        drawn = "".join(f'<path class="tick {kind}" d="{path}"/>' for kind, path in ticks.items())
        self.add(f'<g opacity=".16">{drawn}</g><g clip-path="url(#told)">{drawn}</g>')
        go = self.animate([(0, "transform:translateX(0)"), (self.roll.length, f"transform:translateX({width}px)")], "linear")
        self.add(f'<path class="hand {go}" d="M{left} {TICKS_TOP - 5}v30" transform="translate({now:.1f} 0)"/>')

    def clock(self, right):
        seconds = int(self.roll.length / 1000)
        self.counter([(1000 * it, it) for it in range(seconds + 1)], right - 27, TICKS_TOP - 10, 13.5, "soft", 7.8)
        self.add(f'<text class="soft end" x="{right}" y="{TICKS_TOP - 10}">s</text>')

    def counter(self, values, x, y, size, kind, wide):
        """A number that counts: for each place a strip of digits, of which one is seen."""
        places, high = len(str(values[-1][1])), size * 1.3
        # A large one stays where it begins, however long it is.
        shift = wide if kind == "figure" else 0
        asides = [(when, (len(str(value)) - places) * shift) for when, value in values]
        self.add(self.sliding(asides, "X") + ">")
        for place in range(places):
            seen = [(when, value // 10**place % 10 + 1 if value >= 10**place or not place else 0) for when, value in values]
            rows = [(when, -high * row) for when, row in seen]
            left, name = x + (places - 1 - place) * wide, f"c{len(self.rules)}"
            digits = "".join(f'<tspan x="{left:.1f}" y="{y + (it + 1) * high:.1f}">{it}</tspan>' for it in range(10))
            self.add(
                f'<clipPath id="{name}"><rect x="{left:.1f}" y="{y - size:.1f}" width="{wide + 1:.1f}" height="{high:.1f}"/></clipPath>'
                f'<g clip-path="url(#{name})">{self.sliding(rows, "Y")}><text class="{kind}">{digits}</text></g></g>'
            )
        self.add("</g>")

    def sliding(self, places, axis):
        """The beginning of a group that is so far from its place at these moments."""
        changes = [it for index, it in enumerate(places) if not index or it[1] != places[index - 1][1]]
        now = [far for when, far in changes if when <= self.still][-1]
        still = f"{now:.1f} 0" if axis == "X" else f"0 {now:.1f}"
        rule = self.animate([(when, f"transform:translate{axis}({far:.1f}px)") for when, far in changes])
        return f'<g class="{rule}" transform="translate({still})"'

    def figures(self):
        figures = self.roll.figures
        top = TICKS_TOP + 88
        silence = figures.get("silence_ms", 0)
        shown = [
            ("lost", figures.get("lost", 0), ""),
            ("twice", figures.get("doubled", 0), ""),
            ("longest silence", silence, " ms"),
        ]
        column = (WIDTH - 2 * MARGIN) / 5
        for index, (words, figure, unit) in enumerate(shown):
            x = MARGIN + index * column
            kind = "figure" if figure else "figure newtext"
            self.add(f'<text class="{kind}" x="{x:.1f}" y="{top}">{figure}{unit}</text>')
            self.add(f'<text class="soft" x="{x:.1f}" y="{top + 22}">{words}</text>')
        moments = sorted(self.roll.moves)
        told = sorted(when for when, *_ in self.roll.said)
        is_once_each = all(len([place for _, place in places if place]) == 2 for places in self.roll.people.values())
        moved = "moved, each once" if is_once_each else "moves"
        for index, (words, moments) in enumerate(((moved, moments), ("messages", told)), len(shown)):
            x = MARGIN + index * column
            self.counter([(0, 0), *((when, n + 1) for n, when in enumerate(moments))], x, top, 34, "figure", 21)
            self.add(f'<text class="soft" x="{x:.1f}" y="{top + 22}">{words}</text>')

    def picture(self):
        releases, people = self.roll.releases, len(self.roll.people)
        title = f"A real roll from {releases[0]} to {releases[-1]}, while {people} people talk"
        for draw in (self.boxes, self.talk, self.figures, self.dots):
            draw()
        end = self.roll.length
        fade = [(0, "opacity:0"), (300, "opacity:1"), (end - 500, "opacity:1"), (end, "opacity:0")]
        fade = self.animate(fade, "linear")
        return "\n".join([
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="title about">',
            f'<title id="title">{title}</title>',
            '<desc id="about">Three replicas, each with two slots, and a dot for each person. One replica after the other starts '
            "the new release in its idle slot, and people fly there one by one, while messages go on without a gap.</desc>",
            f"<style>{STYLE}{self.motion()}</style>",
            f'<rect class="page" width="{WIDTH}" height="{HEIGHT}" rx="14"/>',
            f'<text class="title" x="{MARGIN}" y="42">{title}</text>',
            f'<text class="soft" x="{MARGIN}" y="66">Three replicas behind HAProxy are replaced, one by one; shown {SPEED} times '
            "as fast. A dot is a person, ringed while speaking.</text>",
            f'<g class="{fade}">',
            *self.parts,
            "</g></svg>\n",
        ])

    def motion(self):
        """All rules, for whoever does not mind motion."""
        seconds = self.roll.length / 1000 / SPEED
        rules = "".join(f"@keyframes {name}{{{frames}}}" for name, frames, _ in self.rules)
        alike = defaultdict(list)
        for name, _, easing in self.rules:
            alike[easing].append("." + name)
        uses = "".join(f"{','.join(names)}{{animation:{seconds:.1f}s {easing} infinite}}" for easing, names in alike.items())
        uses += "".join(f".{name}{{animation-name:{name}}}" for name, *_ in self.rules)
        return f"{rules}\n@media (prefers-reduced-motion: no-preference){{{uses}}}"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recording", help="what rollcall-stage --record wrote")
    parser.add_argument("picture", type=Path, help="where the SVG goes")
    options = parser.parse_args()
    picture = Drawing(Roll(read(options.recording))).picture()
    picture = re.sub(r' class=""', "", picture)
    if len(picture.encode()) > MOST_BYTES:
        stop(f"the picture would have {len(picture.encode())} bytes, and {MOST_BYTES} is the most: record fewer people")
    options.picture.write_text(picture, encoding="utf-8")
    print(f"{options.picture}: {len(picture.encode()):,} bytes")


if __name__ == "__main__":
    main()
