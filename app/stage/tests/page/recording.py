"""A recording of a whole roll, and of a replica that is killed, made up: what the page has to be able to show.

`python recording.py FILE [PEOPLE]` writes one. The same numbers make the same recording.
"""

import json
import random
import re
import sys
from pathlib import Path

# Of the events, as the stage has it.
EVENTS = Path(__file__).resolve().parents[2] / "src/event.rs"
VERSION = int(re.search(r"VERSION: u32 = (\d+);", EVENTS.read_text(encoding="utf-8"))[1])
REPLICAS = ("r1", "r2", "r3")
OLD, NEW = "1.0.0", "1.1.0"
ROOM = "lobby"
NAMES = (
    "Ada Amber Aoife Azure Bruno Carmen Cobalt Copper Crimson Dmitri Elif Emeka Farid Grace Hana Indigo Ines Jade Jan "
    "Kofi Lars Lena Lime Magenta Marta Mateo Moss Nadia Noor Ochre Olive Omar Paula Pia Plum Priya Quinn Rosa Ruby Sable "
    "Sana Slate Sven Teal Tomas Umar Vera Violet Wei Yara Yusuf Zoe"
).split()
LINES = (
    "Is it over already?",
    "Row 7 is still here.",
    "I did not feel a thing.",
    "Like a trapeze.",
    "Which one of us moved?",
    "I heard that. Once.",
    "Did it already happen?",
    "My seat is green now!",
    "Hello from the last row",
    "Can somebody open the window?",
    "Still talking, still here",
    "The coffee was better in 2024",
    "I blinked. Was that it?",
    "Somebody write this down",
    "Nobody panic. Nobody has to.",
)
MOMENTS = {"roll": 13_400, "killed": 30_150, "after": 33_500}


class Recording:
    """Events in any order, written in that of their time."""

    def __init__(self, people, seed=7):
        self.random = random.Random(seed)
        self.events = []
        self.steps = []
        self.numbers = dict.fromkeys(self.slots(), 0)
        self.slot = {(replica, slot): [None, "empty"] for replica, slot in self.slots()}
        self.people = [self.person(number) for number in range(people)]
        self.figures = {"messages": 0, "lost": 0, "doubled": 0, "moved": 0, "cut": 0, "silence_ms": 0, "p99_ms": 9, "here": people}

    @staticmethod
    def slots():
        return [(replica, slot) for replica in REPLICAS for slot in ("blue", "green")]

    def person(self, number):
        name = NAMES[number % len(NAMES)] + (f" {number // len(NAMES) + 1}" if number >= len(NAMES) else "")
        return {"member": f"{self.random.getrandbits(64):016x}", "name": name}

    # --- what may happen ---

    def add(self, at, event, **values):
        self.events.append((round(at), {"event": event, **values}))

    def now(self, at, replica, slot, release, state):
        """A slot is as it is now."""
        self.slot[replica, slot] = [release, state]
        told = []
        for name in REPLICAS:
            slots = [(slot, *self.slot[name, slot]) for slot in ("blue", "green")]
            told.append(
                {"name": name, "slots": [{"slot": s, **({"release": r} if r else {}), "state": state} for s, r, state in slots]}
            )
        self.add(at, "replicas", replicas=told)

    def step(self, at, what, place, number, **more):
        replica, slot = place
        self.steps.append((at, {"is": what, "replica": replica, "slot": slot, "number": number, **more}))

    def comes(self, at, person, place):
        self.numbers[place] += 1
        number = self.numbers[place]
        self.step(at, "opened", place, number, **{key: person[key] for key in ("member", "name")})
        self.step(at + 25, "live", place, number)
        person["place"], person["number"] = place, number

    def leaves(self, at, person, what="closed"):
        self.step(at, what, person["place"], person["number"])

    def phase(self, begin, end, replica, phase, **more):
        self.add(begin, "phase", replica=replica, phase=phase, **{"is": "begin"})
        self.add(end, "phase", replica=replica, phase=phase, **{"is": "end"}, seconds=round((end - begin) / 1000, 2), outcome="ok", **more)

    # --- the acts ---

    def doors(self):
        for replica in REPLICAS:
            self.now(0, replica, "blue", OLD, "up")
        for number, person in enumerate(self.people):
            self.comes(200 + 2600 * number / len(self.people), person, (REPLICAS[number % 3], "blue"))

    def roll(self, begin):
        self.add(begin, "act", act="roll", **{"is": "begin"}, words="Rolling, while everybody talks")
        self.add(begin, "phase", phase="deploy", **{"is": "begin"}, what="rolling to 1.1.0")
        at = begin + 200
        for replica in REPLICAS:
            at = self.turn(at, replica)
        self.add(at, "phase", phase="deploy", **{"is": "end"}, seconds=round((at - begin) / 1000, 2), outcome="done")
        self.add(at, "act", act="roll", **{"is": "end"}, words="Rolled. Did you notice?")
        return at

    def turn(self, at, replica):
        self.now(at + 50, replica, "green", NEW, "starting")
        self.phase(at, at + 900, replica, "start")
        self.phase(at + 900, at + 1200, replica, "smoke")
        self.phase(at + 1200, at + 1300, replica, "ready")
        self.now(at + 1250, replica, "green", NEW, "up")
        if replica == REPLICAS[0]:
            self.phase(at + 1300, at + 2800, replica, "canary", words="errors 0.0 % against 0.0 %, sends 2.1 ms against 2.0 ms")
            at += 1500
        drained = at + 1300 + 3400
        self.phase(at + 1300, drained, replica, "drain")
        self.now(at + 1350, replica, "blue", OLD, "draining")
        self.drain(at + 1400, replica, 3000)
        self.phase(drained, drained + 500, replica, "stop")
        self.now(drained + 450, replica, "blue", OLD, "kept")
        return drained + 600

    def drain(self, at, replica, spread):
        here = [person for person in self.people if person["place"] == (replica, "blue")]
        rolled = [(name, "green") for name in REPLICAS if self.slot[name, "green"][1] == "up"]
        for number, person in enumerate(here):
            moment = round(spread * number / len(here))
            self.step(at, "goaway", person["place"], person["number"], in_ms=moment)
            left = dict(person)
            self.comes(at + moment + self.random.uniform(4, 12), person, self.emptiest(rolled))
            self.leaves(at + moment + 45, left)

    def emptiest(self, places):
        return min(places, key=lambda place: sum(person.get("place") == place for person in self.people))

    def kill(self, at, replica):
        self.add(at - 400, "act", act="plug", **{"is": "begin"}, words=f"{replica} was killed")
        self.now(at, replica, "green", NEW, "down")
        others = [place for place in self.numbers if self.slot[place][1] == "up"]
        for person in [person for person in self.people if person["place"] == (replica, "green")]:
            self.leaves(at, person, "lost")
            person["place"] = None
            person["back"] = at + self.random.triangular(120, 1400, 240)
        for person in self.people:
            if back := person.pop("back", None):
                self.comes(back, person, self.emptiest(others))
        self.now(at + 5200, replica, "green", NEW, "starting")
        self.now(at + 6000, replica, "green", NEW, "up")
        self.add(at + 6200, "act", act="plug", **{"is": "end"}, words=f"{replica} is back")

    # --- what is said and what it comes to ---

    def talk(self, until, a_second=5):
        served, at, last = {}, 1500, None
        opened = {}
        for when, step in sorted(self.steps, key=lambda step: step[0]):
            key = (step["replica"], step["slot"], step["number"])
            if step["is"] == "opened":
                opened[key] = step["member"]
            elif step["is"] == "live":
                served.setdefault(opened[key], []).append((when, step["slot"]))
        while at < until:
            person = self.random.choice(self.people)
            slots = [slot for when, slot in served[person["member"]] if when <= at]
            if slots:
                release = NEW if slots[-1] == "green" else OLD
                id_ = f"{1_790_000_000_000 + round(at)}-{self.random.getrandbits(20)}"
                said = {"room": ROOM, "id": id_, "prev": last or "0-0", **{key: person[key] for key in ("member", "name")}}
                said |= {"text": self.random.choice(LINES), "release": release}
                for witness in (0, 1):
                    took = round(self.random.triangular(2, 16, 5))
                    self.add(at + took, "message", **said, witness=witness, took_ms=took)
                last = id_
            at += self.random.expovariate(a_second / 1000)

    def count(self, until):
        """The figures, as often as they change."""
        steps = sorted(self.steps, key=lambda step: step[0])
        gone, moved, cut, silence, here, told = {}, 0, 0, 0, 0, 0
        whose, told_to_go, drains = {}, set(), {}
        for at in range(200, until, 200):
            while steps and steps[0][0] <= at:
                when, step = steps.pop(0)
                key = (step["replica"], step["slot"], step["number"])
                if step["is"] == "opened":
                    whose[key] = step["member"]
                    here += step["member"] not in gone and not told_to_go
                elif step["is"] == "goaway":
                    told_to_go.add(key)
                    drains.setdefault(step["replica"], {"told": 0, "moved": 0})["told"] += 1
                elif step["is"] == "closed" and key in told_to_go:
                    moved += 1
                    drains[step["replica"]]["moved"] += 1
                elif step["is"] == "lost":
                    gone[whose[key]] = when
                    cut += 1
                elif step["is"] == "live" and whose[key] in gone:
                    silence = max(silence, round(when - gone.pop(whose[key])))
            waiting = max((at - round(when) for when in gone.values()), default=0)
            said = [values for when, values in self.events if values["event"] == "message" and when <= at and values["witness"] == 0]
            self.figures |= {"messages": len(said), "moved": moved, "cut": cut, "silence_ms": max(silence, waiting), "here": here}
            self.figures["drains"] = {replica: dict(drain) for replica, drain in drains.items()}
            wave = 9 + round(3 * self.random.random()) + (14 if gone else 0)
            self.add(at, "figures", **self.figures | {"p99_ms": wave})

    def lines(self):
        batches = {}
        for at, step in sorted(self.steps, key=lambda step: step[0]):
            batches.setdefault(-(-round(at) // 100) * 100, []).append((round(at), step))
        for at, batch in batches.items():
            steps = [step | ({"ago_ms": at - when} if at > when else {}) for when, step in batch]
            self.add(at, "connections", list=steps)
        first = {"at": 0, "event": "stage", "v": VERSION, "room": ROOM, "join": "http://192.168.1.20:8080/#hall"}
        ordered = sorted(self.events, key=lambda event: event[0])
        return [json.dumps(line) for line in [first, *({"at": at, **values} for at, values in ordered)]]


def make(people=300):
    recording = Recording(people)
    recording.doors()
    rolled = recording.roll(4_000)
    recording.kill(max(rolled + 3_000, 29_900), "r2")
    recording.talk(40_000)
    recording.count(40_000)
    return "\n".join(recording.lines()) + "\n"


if __name__ == "__main__":
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        file.write(make(int(sys.argv[2]) if len(sys.argv) > 2 else 300))
