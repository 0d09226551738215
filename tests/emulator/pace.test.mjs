import assert from 'node:assert/strict';
import test from 'node:test';

import { Pacer } from '../../host_tools/onebyte/emulator/js/pace.mjs';

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
  const { pacer, state } = make({ graceMs: 100 });
  pacer.asked('silent');
  state.wallMs = 60;
  pacer.asked('slow');
  state.wallMs = 101;
  await pacer.turn();
  assert.ok(pacer.isHolding);
  state.wallMs = 161;
  await pacer.turn();
  assert.ok(!pacer.isHolding);
});

test('an answer ends the pause of a turn at once', async () => {
  const { pacer } = make();
  pacer.asked('a');
  const turn = pacer.turn();
  pacer.settled('a');
  await turn;
  assert.equal(pacer.allow(7), 7);
});
