// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";
import { Seats, grid } from "../../web/seats.js";

test("there is a seat for everybody in the box, and no two are the same", () => {
  const box = { x: 10, y: 20, width: 400, height: 220 };
  for (const people of [1, 7, 104, 667, 5_000]) {
    const { columns, pitch } = grid(box, people);
    assert.ok(columns * pitch <= box.width + 1e-6, `${people} fit beside each other`);
    assert.ok(Math.ceil(people / columns) * pitch <= box.height + 1e-6, `${people} fit below each other`);
  }
});

test("seats that become smaller do so slowly, unless nothing may move", () => {
  for (const [isMoving, isSame] of [[true, true], [false, false]]) {
    const seats = new Seats();
    seats.measure(new Map([["r1/blue", { x: 0, y: 0, width: 400, height: 200 }]]));
    seats.fit(10, 0, isMoving);
    const before = seats.position({ place: "r1/blue", seat: 3 }, 0);
    seats.fit(500, 1_000, isMoving);
    assert.equal(seats.position({ place: "r1/blue", seat: 3 }, 1_000)[0] === before[0], isSame);
    assert.ok(seats.position({ place: "r1/blue", seat: 3 }, 2_000)[0] < before[0]);
  }
});
