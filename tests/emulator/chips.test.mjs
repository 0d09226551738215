/** The FIFOs of the sensor chips, bit by bit as their datasheets have them, without a driver. */

import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';

import { Lis3dh } from '../../host_tools/onebyte/emulator/js/lis3dh.mjs';
import { Lsm6dsox } from '../../host_tools/onebyte/emulator/js/lsm6dsox.mjs';
import { Mpu6050 } from '../../host_tools/onebyte/emulator/js/mpu6050.mjs';
import { FakeBoard } from './emulated_time.mjs';

const S = 1e9;
const N_ROWS = 2000;

/** A chip that measures a recording whose rows hold their own number, and what a driver does. */
class Bench {
  constructor(t, Chip, channels) {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'chips-'));
    t.after(() => fs.rmSync(folder, { recursive: true }));
    const rows = path.join(folder, 'rows');
    const values = Int16Array.from({ length: N_ROWS * channels }, (_, i) =>
      16 * (Math.floor(i / channels) - 1000) + (i % channels ? 0x0100 : 0),
    );
    fs.writeFileSync(rows, new Uint8Array(values.buffer));
    this.values = values;
    this.channels = channels;
    this.board = new FakeBoard();
    this.chip = new Chip(this.board, { hold() {} }, { rows });
  }

  pass(seconds) {
    this.board.clock.pass(seconds * S);
  }

  write(register, ...bytes) {
    assert.ok(this.chip.connect(this.chip.address, false));
    [register, ...bytes].forEach((byte) => assert.ok(this.chip.write(byte)));
  }

  read(register, length) {
    this.write(register);
    assert.ok(this.chip.connect(this.chip.address, true));
    return Array.from({ length }, () => this.chip.read());
  }

  row(number) {
    return [...this.values.subarray(number * this.channels, (number + 1) * this.channels)];
  }
}

const pairs = (bytes, from) =>
  Array.from({ length: bytes.length / 2 }, (_, i) => from(bytes[2 * i], bytes[2 * i + 1]));
const bigEndian = (bytes) => pairs(bytes, (high, low) => ((high << 24) >> 16) | low);
const littleEndian = (bytes) => pairs(bytes, (low, high) => ((high << 24) >> 16) | low);

function mpu6050(t) {
  const bench = new Bench(t, Mpu6050, 6);
  bench.write(0x6b, 0x01); // awake
  bench.write(0x19, 19, 0x01); // 1 kHz / 20 with a filter
  bench.write(0x38, 0x11);
  bench.write(0x23, 0x78);
  bench.write(0x6a, 0x40);
  return bench;
}

const countOf = (bench) => bigEndian(bench.read(0x72, 2))[0];

test('MPU-6050: a full FIFO loses its oldest bytes and says so once', (t) => {
  const bench = mpu6050(t);
  bench.pass(1.701); // 85 rows of 12 bytes
  assert.equal(countOf(bench), 1020);
  assert.deepEqual(bench.read(0x3a, 1), [0x01]);
  bench.pass(0.02);
  assert.equal(countOf(bench), 1024);
  assert.equal(bench.read(0x3a, 1)[0], 0x11);
  assert.deepEqual(bench.read(0x3a, 1), [0x00]);
  const kept = bench.read(0x74, 1024); // all but the first 8 bytes of 86 rows
  assert.deepEqual(bigEndian(kept.slice(0, 4)), bench.row(0).slice(4));
  assert.deepEqual(bigEndian(kept.slice(-12)), bench.row(85));
  assert.equal(countOf(bench), 0);
  assert.deepEqual(bench.read(0x74, 2), [kept[1023], kept[1023]]); // the last byte again
});

test('MPU-6050: both bytes of the count are of one moment', (t) => {
  const bench = mpu6050(t);
  bench.pass(0.421); // 21 rows: 252
  assert.deepEqual(bench.read(0x72, 1), [0]);
  bench.pass(0.02);
  assert.deepEqual(bench.read(0x73, 1), [252]);
  assert.equal(countOf(bench), 264);
});

test('MPU-6050: the FIFO is emptied only while it is off', (t) => {
  const bench = mpu6050(t);
  bench.pass(0.101);
  bench.write(0x6a, 0x44);
  assert.equal(countOf(bench), 60);
  bench.write(0x6a, 0x04);
  assert.equal(countOf(bench), 0);
  assert.deepEqual(bench.read(0x6a, 1), [0]); // the bit clears itself
});

function lis3dh(t, fifoMode) {
  const bench = new Bench(t, Lis3dh, 3);
  bench.write(0x20, 0x47); // 50 Hz
  bench.write(0x23, 0x08); // 12 bits
  bench.write(0x24, 0x40);
  bench.write(0x2e, fifoMode << 6);
  return bench;
}

const MULTIPLE = 0x80;

test('LIS3DH: 32 rows read as 31 with the flag, and a stream loses the oldest', (t) => {
  const bench = lis3dh(t, 2);
  assert.deepEqual(bench.read(0x2f, 1), [0x20]);
  bench.pass(0.621); // 31 rows
  assert.deepEqual(bench.read(0x2f, 1), [0x80 | 31]);
  bench.pass(0.02);
  assert.deepEqual(bench.read(0x2f, 1), [0xc0 | 31]);
  bench.pass(0.04);
  const seen = littleEndian(bench.read(0x28 | MULTIPLE, 6 * 32)); // goes round in one burst
  assert.deepEqual(seen.slice(0, 3), bench.row(2));
  assert.deepEqual(seen.slice(-3), bench.row(33));
  assert.deepEqual(bench.read(0x2f, 1), [0x20]);
});

test('LIS3DH: FIFO mode stops when it is full, and bypass empties it', (t) => {
  const bench = lis3dh(t, 1);
  bench.pass(0.801);
  assert.deepEqual(littleEndian(bench.read(0x28 | MULTIPLE, 6)), bench.row(0));
  bench.write(0x2e, 0);
  bench.write(0x2e, 0x40);
  assert.deepEqual(bench.read(0x2f, 1), [0x20]);
});

function lsm6dsox(t, mode) {
  const bench = new Bench(t, Lsm6dsox, 6);
  bench.write(0x10, 0x30, 0x30); // both sensors at 52 Hz
  bench.write(0x09, 0x33);
  bench.write(0x0a, mode);
  return bench;
}

const isEven = (tag) => [...tag.toString(2)].filter((bit) => bit === '1').length % 2 === 0;

test('LSM6DSOX: a word has a tag of even parity and a counter of time slots', (t) => {
  const bench = lsm6dsox(t, 6);
  bench.pass(10.001 / 52);
  const [low, high] = bench.read(0x3a, 2);
  assert.deepEqual([low, high], [18, 0]); // the gyroscope begins two slots later
  const words = Array.from({ length: 18 }, () => bench.read(0x78, 7));
  assert.ok(words.every(([tag]) => isEven(tag)));
  const sensors = words.map(([tag]) => tag >> 3);
  assert.deepEqual(sensors.slice(0, 6), [2, 2, 1, 2, 1, 2]);
  const slots = words.filter(([tag]) => tag >> 3 === 2).map(([tag]) => (tag >> 1) & 3);
  assert.deepEqual(slots, [1, 2, 3, 0, 1, 2, 3, 0, 1, 2]);
  assert.deepEqual(littleEndian(words[2].slice(1)), bench.row(2).slice(3));
  assert.deepEqual(littleEndian(words[3].slice(1)), bench.row(2).slice(0, 3));
  assert.deepEqual(bench.read(0x78, 7), [0, 0, 0, 0, 0, 0, 0]); // empty
});

test('LSM6DSOX: an overrun is latched until it was read', (t) => {
  const bench = lsm6dsox(t, 6);
  bench.pass(255.001 / 52);
  assert.deepEqual(bench.read(0x3a, 2), [508 & 0xff, 0x01]);
  bench.pass(1 / 52);
  assert.deepEqual(bench.read(0x3a, 2), [510 & 0xff, 0x21]); // full with the next slot
  bench.pass(1 / 52);
  assert.deepEqual(bench.read(0x3a, 2), [0, 0x22]);
  bench.pass(1 / 52);
  assert.deepEqual(bench.read(0x3a, 2), [0, 0x6a]);
  assert.deepEqual(bench.read(0x3a, 2), [0, 0x62]);
  assert.deepEqual(littleEndian(bench.read(0x78, 7).slice(1)), bench.row(2).slice(3));
});
