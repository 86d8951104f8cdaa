import assert from "node:assert/strict";
import test from "node:test";
import { onJump } from "../clock.js";
import { FakeClock } from "./fake_clock.js";

const SECOND = 1_000;
const HOUR = 3_600 * SECOND;

/** A machine whose page looks for jumps: its timers' clock, its time of day, and how many jumps were noticed. */
class Machine {
  constructor() {
    this.clock = new FakeClock();
    this.wall = 1_700_000_000_000;
    this.jumps = 0;
    onJump(this.clock, () => this.wall, () => (this.jumps += 1));
  }

  /** Runs on for so many seconds, as it should. */
  run(seconds) {
    for (let second = 0; second < seconds; second += 1) {
      this.wall += SECOND;
      this.clock.pass(SECOND);
    }
  }

  /** No timer runs for so long; what is due then runs late. */
  standStill(ms) {
    this.wall += ms;
    this.clock.time += ms;
    this.clock.pass(0);
  }
}

test("P5: a machine that runs on has not jumped", () => {
  const machine = new Machine();
  machine.run(60);
  assert.equal(machine.jumps, 0);
  machine.standStill(2.5 * SECOND);
  machine.run(5);
  assert.equal(machine.jumps, 0, "busy for a moment");
});

test("P5: a sleep during which the timers' clock stands is noticed within a second, once", () => {
  const machine = new Machine();
  machine.run(10);
  machine.wall += 5 * SECOND;
  machine.run(1);
  assert.equal(machine.jumps, 1);
  machine.run(60);
  assert.equal(machine.jumps, 1);
});

test("P5: a sleep during which the timers' clock goes on is noticed at once", () => {
  const machine = new Machine();
  machine.run(10);
  machine.standStill(HOUR);
  assert.equal(machine.jumps, 1);
  machine.run(60);
  assert.equal(machine.jumps, 1);
});

test("P5: a clock that is set, ahead or back, is noticed", () => {
  for (const by of [HOUR, -HOUR]) {
    const machine = new Machine();
    machine.run(10);
    machine.wall += by;
    machine.run(1);
    assert.equal(machine.jumps, 1, `by ${by} ms`);
  }
});

test("P5: a sleep with the time of day set back by as much is noticed by the timers", () => {
  const machine = new Machine();
  machine.run(10);
  machine.wall -= HOUR;
  machine.standStill(HOUR);
  assert.equal(machine.jumps, 1);
});
