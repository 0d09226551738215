import assert from 'node:assert/strict';
import test from 'node:test';

import { Pacer, WallPacer } from '../../host_tools/onebyte/emulator/js/pace.mjs';

const MS = 1e6;

function make(options) {
  const state = { wallMs: 0, nanos: 0 };
  const all = { factor: 1, graceMs: 2000, ...options };
  const pacer = new Pacer(() => state.nanos, all, () => state.wallMs);
  return { pacer, state };
}

test('time runs free while nothing is outstanding', async () => {
  const { pacer, state } = make();
  await pacer.turn();
  assert.equal(pacer.allow(3600e9), 3600e9);
  assert.equal(pacer.allow(Infinity), Infinity);
  state.wallMs = 1000;
  assert.equal(pacer.heldMs, 0);
});

test('emulated time follows wall time while an answer is outstanding', async () => {
  const { pacer, state } = make();
  pacer.asked('a');
  assert.equal(pacer.allow(5000 * MS), 0);
  state.wallMs = 3;
  await pacer.turn();
  assert.equal(pacer.allow(5000 * MS), 3 * MS);
  assert.equal(pacer.allow(1 * MS), 1 * MS);
  state.nanos += 3 * MS;
  assert.equal(pacer.allow(5000 * MS), 0);
  pacer.settled('a');
  assert.equal(pacer.allow(5000 * MS), 5000 * MS);
});

test('the factor counts', async () => {
  const { pacer, state } = make({ factor: 0.25 });
  pacer.asked('a');
  state.wallMs = 4;
  await pacer.turn();
  assert.equal(pacer.allow(Infinity), 1 * MS);
});

test('an emulator that was slow gains no credit', async () => {
  const { pacer, state } = make();
  pacer.asked('a');
  state.wallMs = 500;
  state.nanos = 1 * MS;
  await pacer.turn();
  state.wallMs = 501;
  await pacer.turn();
  assert.equal(pacer.allow(Infinity), 1 * MS);
});

test('what is never answered is given up, whoever waits for another answer', async () => {
  const { pacer, state } = make({ graceMs: 30 });
  const turnAt = async (wallMs) => {
    state.wallMs = wallMs;
    await pacer.turn();
  };
  pacer.asked('silent');
  await turnAt(15);
  pacer.asked('slow');
  await turnAt(29);
  assert.ok(pacer.isHolding);
  await turnAt(31);
  assert.ok(pacer.isHolding);
  await turnAt(46);
  assert.ok(!pacer.isHolding);
});

test('a process that stood still has not waited', async () => {
  const { pacer, state } = make({ graceMs: 2000 });
  pacer.asked('a');
  state.wallMs = 5000;
  await pacer.turn();
  assert.ok(pacer.isHolding, 'the answer may be there, and nobody has looked');
  assert.ok(pacer.allow(Infinity) <= 20 * MS);
});

test('an answer ends the pause of a turn at once', async () => {
  const { pacer } = make();
  pacer.asked('a');
  const turn = pacer.turn();
  pacer.settled('a');
  await turn;
  assert.equal(pacer.allow(7), 7);
});

function makeWall(speed = 1, modem = null) {
  const state = { wallMs: 100, nanos: 7 * MS };
  const board = { nowNanos: () => state.nanos };
  const pacer = new WallPacer(board, speed, modem, () => state.wallMs);
  const turnAt = async (wallMs) => {
    state.wallMs = wallMs;
    await pacer.turn();
  };
  return { pacer, state, turnAt };
}

test('a sleep at the serial port lasts as long by the wall clock', async () => {
  const { pacer, state, turnAt } = makeWall();
  assert.equal(pacer.allow(50 * MS), 0);
  await turnAt(104);
  assert.equal(pacer.allow(50 * MS), 4 * MS);
  assert.equal(pacer.allow(1 * MS), 1 * MS);
  state.nanos += 4 * MS;
  assert.equal(pacer.allow(50 * MS), 0);
  await turnAt(109);
  assert.equal(pacer.allow(50 * MS), 5 * MS);
});

test('with a speed it is so much shorter', async () => {
  const { pacer, turnAt } = makeWall(5);
  await turnAt(104);
  assert.equal(pacer.allow(50 * MS), 20 * MS);
});

test('what the chip executes for long shortens no later sleep, nor does a pause', async () => {
  for (const wallMs of [2000, 4000]) {
    const { pacer, state, turnAt } = makeWall(2);
    state.nanos += 1 * MS;
    await turnAt(wallMs);
    assert.equal(pacer.allow(10_000 * MS), 40 * MS);
    state.nanos += 40 * MS;
    await turnAt(wallMs + 1);
    assert.equal(pacer.allow(10_000 * MS), 2 * MS);
  }
});

test('a chip that was faster than the wall clock waits for it', async () => {
  const { pacer, state, turnAt } = makeWall();
  state.nanos += 10 * MS;
  await turnAt(104);
  assert.equal(pacer.allow(50 * MS), 0);
  await turnAt(111);
  assert.equal(pacer.allow(50 * MS), 1 * MS);
});

test('the modem holds a sleep as well', async () => {
  const held = { allow: () => 3, turn: async () => {} };
  const { pacer, turnAt } = makeWall(1, held);
  await turnAt(110);
  assert.equal(pacer.allow(50 * MS), 3);
});
