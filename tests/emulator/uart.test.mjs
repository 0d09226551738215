import assert from 'node:assert/strict';
import path from 'node:path';
import test from 'node:test';

import { UartLine } from '../../host_tools/onebyte/emulator/js/uart.mjs';
import { EmulatedTime } from './emulated_time.mjs';

// The folder of the unpacked rp2040js.
const esm = path.join(process.env.ONEBYTE_RP2040JS, 'dist', 'esm');
const { RPUART } = await import(path.join(esm, 'peripherals', 'uart.js'));

const [DR, FR, IFLS, LCR_H, CR, IMSC, MIS, ICR] = [0, 0x18, 0x34, 0x2c, 0x30, 0x38, 0x40, 0x44];
const [RX, TX, TIMEOUT] = [1 << 4, 1 << 5, 1 << 6];
const TX_FULL = 1 << 5;
const BUSY = 1 << 3;
const BYTE_NANOS = 1e10 / 115207; // what the divider makes of 115,200
const LEVELS = { 4: 0, 8: 1, 16: 2, 24: 3, 28: 4 };

class Chip {
  constructor({ fifo = true, trigger = 4 } = {}) {
    this.time = new EmulatedTime();
    this.interrupt = false;
    const rp2040 = {
      clkPeri: 125e6,
      dma: { setDREQ() {}, clearDREQ() {} },
      setInterrupt: (_, value) => (this.interrupt = value),
      logger: { warn: (_, text) => assert.fail(text) },
    };
    this.uart = new RPUART(rp2040, 'UART0', 20, {});
    this.line = new UartLine(this.uart, this.time);
    this.sent = [];
    this.line.onByte = (byte) => this.sent.push([byte, this.time.nanos]);
    this.write(0x24, 67); // 115,200 baud
    this.write(0x28, 52);
    this.write(LCR_H, (3 << 5) | (fifo ? 1 << 4 : 0));
    this.write(CR, 0x301);
    this.write(IFLS, (LEVELS[trigger] << 3) | 0);
    this.write(IMSC, RX | TX | TIMEOUT);
  }

  write(offset, value) {
    this.uart.writeUint32Atomic(offset, value, 0);
  }

  read(offset) {
    return this.uart.readUint32(offset);
  }

  bytes(n) {
    this.time.pass(n * BYTE_NANOS + 1);
  }
}

test('a byte takes ten bit times to leave', () => {
  const chip = new Chip();
  chip.write(DR, 0x41);
  assert.equal(chip.read(FR) & BUSY, BUSY);
  assert.deepEqual(chip.sent, []);
  chip.bytes(1);
  assert.equal(chip.sent[0][0], 0x41);
  assert.ok(Math.abs(chip.sent[0][1] - 86806) < 100);
  assert.equal(chip.read(FR) & BUSY, 0);
});

test('a high rate is fast', () => {
  const chip = new Chip();
  chip.write(0x24, 8); // 921,600 baud
  chip.write(0x28, 31);
  chip.write(DR, 1);
  chip.time.pass(10900);
  assert.equal(chip.sent.length, 1);
});

test('33 bytes fit, one is being sent; the transmit interrupt is an edge', () => {
  const chip = new Chip();
  for (let i = 0; i < 33; i++) {
    assert.equal(chip.read(FR) & TX_FULL, 0);
    chip.write(DR, i);
  }
  assert.equal(chip.read(FR) & TX_FULL, TX_FULL);
  chip.bytes(27);
  assert.ok(!chip.interrupt);
  chip.bytes(1);
  assert.equal(chip.read(MIS), TX);
  chip.write(ICR, TX);
  assert.ok(!chip.interrupt, 'it does not come back by itself');
  chip.bytes(5);
  assert.ok(!chip.interrupt);
  assert.deepEqual(chip.sent.map(([byte]) => byte), Array.from({ length: 33 }, (_, i) => i));
});

test('the receive interrupt comes at its level, the timeout after 32 bit times', () => {
  const chip = new Chip({ trigger: 24 });
  chip.line.send(Array.from({ length: 25 }, (_, i) => i));
  chip.bytes(23);
  assert.equal(chip.read(MIS), 0);
  chip.bytes(1);
  assert.equal(chip.read(MIS), RX);
  chip.write(ICR, RX);
  for (let i = 0; i < 24; i++) assert.equal(chip.read(DR), i);
  chip.bytes(1);
  assert.equal(chip.read(MIS), 0);
  chip.bytes(3.1);
  assert.equal(chip.read(MIS), 0);
  chip.bytes(0.2);
  assert.equal(chip.read(MIS), TIMEOUT);
  assert.ok(chip.interrupt);
  assert.equal(chip.read(DR), 24);
  assert.ok(!chip.interrupt);
});

test('a timeout that was cleared without reading comes again', () => {
  const chip = new Chip();
  chip.line.send([1]);
  chip.bytes(5);
  assert.equal(chip.read(MIS), TIMEOUT);
  chip.write(ICR, TIMEOUT);
  assert.equal(chip.read(MIS), 0);
  chip.bytes(4);
  assert.equal(chip.read(MIS), TIMEOUT);
});

test('nothing is overrun, however late the guest reads', () => {
  for (const fifo of [true, false]) {
    const chip = new Chip({ fifo });
    const all = Array.from({ length: 200 }, (_, i) => i);
    chip.line.send(all);
    const got = [];
    for (let i = 0; i < 300; i++) {
      chip.bytes(i % 90);
      if (!(chip.read(FR) & (1 << 4))) got.push(chip.read(DR));
    }
    assert.deepEqual(got, all);
  }
});

test('bytes for a UART that is off are lost', () => {
  const chip = new Chip();
  chip.write(CR, 0);
  chip.line.send([1, 2]);
  chip.bytes(2);
  chip.write(CR, 0x301);
  chip.line.send([3]);
  chip.bytes(1);
  assert.equal(chip.read(DR), 3);
  assert.equal(chip.line.queued, 0);
});

test('a stopped clock holds what is being sent and loses what arrives', () => {
  const chip = new Chip();
  [1, 2].forEach((byte) => chip.write(DR, byte));
  chip.line.send([3]);
  chip.time.pass(BYTE_NANOS / 2);
  chip.line.setStopped(true);
  chip.bytes(10);
  assert.deepEqual(chip.sent, []);
  chip.line.setStopped(false);
  chip.time.pass(BYTE_NANOS / 4);
  assert.deepEqual(chip.sent, []);
  chip.bytes(2);
  assert.deepEqual(chip.sent.map(([byte]) => byte), [1, 2]);
  assert.equal(chip.line.uart.rxFIFO.empty, true);
  chip.line.send([4]);
  chip.bytes(1);
  assert.equal(chip.read(DR), 4);
});
