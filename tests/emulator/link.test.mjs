import assert from 'node:assert/strict';
import test from 'node:test';

import { FrameReader, packFrame } from '../../host_tools/onebyte/emulator/js/hdlc.mjs';
import * as ipv4 from '../../host_tools/onebyte/emulator/js/ipv4.mjs';
import { attachPpp } from '../../host_tools/onebyte/emulator/js/ppp.mjs';
import { FakeBoard } from './emulated_time.mjs';

const S = 1e9;
const LCP = 0xc021;

/** The guest's end of the line, from frames on. */
class Guest {
  constructor(config = {}) {
    this.board = new FakeBoard();
    this.link = attachPpp(this.board, config);
    this.frames = [];
    const reader = new FrameReader((frame) => this.frames.push([...frame]));
    this.link._line.send = (bytes) => bytes.forEach((byte) => reader.input(byte));
  }

  send(protocol, data) {
    const frame = packFrame([0xff, 3, protocol >> 8, protocol & 0xff, ...data]);
    frame.forEach((byte) => this.link._line.onByte(byte));
  }

  /** Acknowledge the requests that came. */
  agree() {
    for (const frame of this.frames.splice(0)) {
      const protocol = (frame[2] << 8) | frame[3];
      if (frame[4] === 1) this.send(protocol, [2, ...frame.slice(5)]);
    }
  }

  up() {
    this.send(LCP, [1, 1, 0, 4]);
    this.agree();
    this.send(0x8021, [1, 1, 0, 10, 3, 6, 10, 0, 0, 2]);
    this.agree();
    this.agree();
    assert.ok(this.link.stats().is_up);
  }

  ping() {
    const echo = Uint8Array.from([8, 0, 0, 0, 0, 0, 0, 0]);
    new DataView(echo.buffer).setUint16(2, ipv4.sum(echo) ^ 0xffff);
    const own = ipv4.parseAddress('10.0.0.2');
    const peer = ipv4.parseAddress('10.0.0.1');
    this.send(0x0021, ipv4.packPacket(own, peer, ipv4.ICMP, echo));
  }

  /** How many packets came since. */
  packets() {
    const all = this.frames.splice(0);
    return all.filter((frame) => frame[2] === 0 && frame[3] === 0x21).length;
  }

  requests() {
    return this.frames.filter((frame) => frame[2] === 0xc0 && frame[4] === 1).length;
  }
}

test('a packet is answered over the whole way', () => {
  const guest = new Guest();
  guest.up();
  guest.ping();
  assert.equal(guest.packets(), 1);
});

test('during a stall packets wait, afterwards they go on', () => {
  const guest = new Guest();
  guest.up();
  guest.link.outage({ kind: 'stall', for_ms: 5000 });
  guest.ping();
  guest.ping();
  guest.board.clock.pass(4.9 * S);
  assert.equal(guest.packets(), 0);
  guest.board.clock.pass(0.2 * S);
  assert.equal(guest.packets(), 2);
  assert.ok(guest.link.stats().is_up);
});

test('a dropped carrier loses what is sent, and asks for a session when it is back', () => {
  const guest = new Guest();
  guest.up();
  guest.link.outage({ kind: 'drop', for_ms: 5000 });
  guest.ping();
  guest.board.clock.pass(4.9 * S);
  assert.equal(guest.frames.length, 0);
  assert.ok(!guest.link.stats().is_up);
  guest.board.clock.pass(0.2 * S);
  assert.equal(guest.requests(), 1);
  guest.up();
  guest.ping();
  assert.equal(guest.packets(), 1);
});

test('a hang-up ends the session, and nobody is let in until it is over', () => {
  const guest = new Guest();
  guest.up();
  guest.link.outage({ kind: 'hangup', for_ms: 5000 });
  assert.deepEqual(guest.frames.splice(0)[0].slice(2, 5), [0xc0, 0x21, 5]);
  guest.send(LCP, [1, 2, 0, 4]);
  assert.equal(guest.frames.length, 0);
  guest.board.clock.pass(5.1 * S);
  assert.equal(guest.frames.length, 0);
  guest.up();
});

test('no noise makes it throw, and a session comes up after all of it', () => {
  const guest = new Guest({ redirects: { '10.0.0.1:1883': 9 }, names: { 'a.b': '10.0.0.1' } });
  let seed = 7;
  const random = (n) => (seed = (seed * 1103515245 + 12345) & 0x7fffffff) % n;
  const query = Buffer.from('4500003a00030000ff11a7ad0a0000020a0000012a2a0035002660c4', 'hex');
  const samples = [
    [LCP, [1, 1, 0, 20, 2, 6, 0, 0, 0, 0, 5, 6, 1, 2, 3, 4, 7, 2, 8, 2]],
    [0x8021, [1, 1, 0, 16, 3, 6, 0, 0, 0, 0, 129, 6, 0, 0, 0, 0]],
    [0x0021, [...query]],
    [0x0021, [...ipv4.packPacket(0x0a000002, 0x0a000001, ipv4.TCP, new Uint8Array(24))]],
  ];
  for (let i = 0; i < 20000; i++) {
    const [protocol, data] = samples[random(samples.length)];
    const damaged = data.slice(0, random(4) ? data.length : random(data.length));
    for (let n = random(4); n > 0 && damaged.length; n--) {
      damaged[random(damaged.length)] = random(256);
    }
    guest.send(random(8) ? protocol : random(65536), damaged);
    if (i % 100 === 0) guest.board.clock.pass(S / 10);
    guest.frames.length = 0;
  }
  for (let i = 0; i < 20000; i++) guest.link._line.onByte(random(256));
  guest.board.clock.pass(4 * S);
  guest.send(LCP, [5, 1, 0, 4]); // whatever it was, it is over
  guest.frames.length = 0;
  guest.up();
});

test('outages come at their time', () => {
  const outages = [
    { at_ms: 1000, for_ms: 500, kind: 'drop' },
    { at_ms: 3000, for_ms: 500, kind: 'drop' },
  ];
  const guest = new Guest({ outages });
  guest.up();
  guest.board.clock.pass(0.9 * S);
  assert.ok(guest.link.stats().is_up);
  guest.board.clock.pass(0.2 * S);
  assert.ok(!guest.link.stats().is_up);
  guest.board.clock.pass(1.0 * S);
  guest.up();
  guest.board.clock.pass(1.0 * S);
  assert.ok(!guest.link.stats().is_up);
});

test('a wrong configuration is refused', () => {
  for (const config of [
    { redirect: {} },
    { redirects: { 'localhost:1': 2 } },
    { redirects: { '10.0.0.1:1': 0 } },
    { outages: [{ at_ms: 1, for_ms: 1, kind: 'flood' }] },
    { outages: [{ at_ms: 1, kind: 'drop' }] },
    { gateway: 'here' },
  ]) {
    assert.throws(() => attachPpp(new FakeBoard(), config), RangeError, JSON.stringify(config));
  }
});
