import assert from 'node:assert/strict';
import test from 'node:test';

import { FrameReader, packFrame } from '../../host_tools/onebyte/emulator/js/hdlc.mjs';
import { parseAddress } from '../../host_tools/onebyte/emulator/js/ipv4.mjs';
import { PppPeer } from '../../host_tools/onebyte/emulator/js/ppp_peer.mjs';
import { EmulatedTime } from './emulated_time.mjs';

const LCP = 0xc021;
const IPCP = 0x8021;
const IP = 0x0021;
const [REQUEST, ACK, NAK, REJECT, TERMINATE, TERMINATE_ACK, CODE_REJECT, PROTOCOL_REJECT] = [
  1, 2, 3, 4, 5, 6, 7, 8,
];
const ECHO = 9;
// What lwIP 2.2.1 asks first: ACCM 0, a magic number, both compressions.
const LWIP_LCP = [2, 6, 0, 0, 0, 0, 5, 6, 0x99, 0xd9, 0x43, 0x82, 7, 2, 8, 2];
const NO_ADDRESS = [3, 6, 0, 0, 0, 0];
const OWN_ADDRESS = [3, 6, 10, 0, 0, 2];

class Guest {
  constructor(dns = parseAddress('10.0.0.1')) {
    this.time = new EmulatedTime();
    this.frames = [];
    this.packets = [];
    this.downs = 0;
    this.line = [];
    const reader = new FrameReader((frame) => this.frames.push([...frame]));
    const addresses = { guest: parseAddress('10.0.0.2'), gateway: parseAddress('10.0.0.1'), dns };
    const send = (bytes) => {
      this.line.push(...bytes);
      bytes.forEach((byte) => reader.input(byte));
    };
    this.peer = new PppPeer(addresses, this.time, send, (packet) => this.packets.push([...packet]));
    this.peer.onDown = () => this.downs++;
  }

  frame(protocol, data) {
    const content = [0xff, 0x03, protocol >> 8, protocol & 0xff, ...data];
    packFrame(content).forEach((byte) => this.peer.input(byte));
  }

  say(protocol, code, id, data = []) {
    this.frame(protocol, [code, id, (data.length + 4) >> 8, (data.length + 4) & 0xff, ...data]);
  }

  /** Take what has come: [protocol, code, id, data]. */
  heard() {
    return this.frames.splice(0).map((frame) => {
      const protocol = (frame[2] << 8) | frame[3];
      return [protocol, frame[4], frame[5], frame.slice(8)];
    });
  }

  /** Acknowledge what the peer asks for. */
  agree() {
    const all = this.heard();
    for (const [protocol, code, id, data] of all) {
      if (code === REQUEST) this.say(protocol, ACK, id, data);
    }
    return all;
  }

  up() {
    this.say(LCP, REQUEST, 1, LWIP_LCP);
    this.time.pass(3.1e9); // a request that a test has passed over comes again
    this.agree();
    this.say(IPCP, REQUEST, 2, OWN_ADDRESS);
    this.agree();
    this.agree();
    assert.ok(this.peer.isUp);
  }
}

test('nothing is said before the guest speaks', () => {
  const guest = new Guest();
  guest.time.pass(60e9);
  assert.deepEqual(guest.heard(), []);
});

test('a guest like lwIP gets its address and name server', () => {
  const guest = new Guest();
  guest.say(LCP, REQUEST, 7, LWIP_LCP);
  const [ack, request] = guest.agree();
  assert.deepEqual(ack, [LCP, ACK, 7, LWIP_LCP]);
  assert.deepEqual(request.slice(0, 2), [LCP, REQUEST]);
  const [own] = guest.agree();
  assert.deepEqual(own.slice(0, 2), [IPCP, REQUEST]);
  assert.deepEqual(own[3], [3, 6, 10, 0, 0, 1]);
  guest.say(IPCP, REQUEST, 8, [...NO_ADDRESS, 129, 6, 0, 0, 0, 0, 131, 6, 0, 0, 0, 0]);
  assert.deepEqual(guest.heard(), [[IPCP, REJECT, 8, [131, 6, 0, 0, 0, 0]]]);
  guest.say(IPCP, REQUEST, 9, [...NO_ADDRESS, 129, 6, 0, 0, 0, 0]);
  assert.deepEqual(guest.heard(), [[IPCP, NAK, 9, [...OWN_ADDRESS, 129, 6, 10, 0, 0, 1]]]);
  guest.say(IPCP, REQUEST, 10, [...OWN_ADDRESS, 129, 6, 10, 0, 0, 1]);
  assert.ok(guest.peer.isUp);
  guest.frame(IP, [0x45, 1, 2]);
  assert.deepEqual(guest.packets, [[0x45, 1, 2]]);
});

test('without a name server its option is rejected', () => {
  const guest = new Guest(null);
  guest.say(LCP, REQUEST, 1, LWIP_LCP);
  guest.agree();
  guest.agree();
  guest.say(IPCP, REQUEST, 2, [...OWN_ADDRESS, 129, 6, 0, 0, 0, 0]);
  assert.deepEqual(guest.heard(), [[IPCP, REJECT, 2, [129, 6, 0, 0, 0, 0]]]);
});

test('authentication, VJ compression and options of a wrong length are rejected', () => {
  const guest = new Guest();
  guest.say(LCP, REQUEST, 1, [3, 4, 0xc0, 0x23, 2, 3, 0]);
  assert.deepEqual(guest.heard()[0], [LCP, REJECT, 1, [3, 4, 0xc0, 0x23, 2, 3, 0]]);
  guest.up();
  guest.say(IPCP, REQUEST, 3, [2, 6, 0, 0x2d, 15, 1]);
  assert.deepEqual(guest.heard()[0], [IPCP, REJECT, 3, [2, 6, 0, 0x2d, 15, 1]]);
});

test('a packet whose lengths do not fit is ignored', () => {
  const guest = new Guest();
  for (const data of [[REQUEST], [REQUEST, 1, 0, 3], [REQUEST, 1, 0, 9, 2], [REQUEST, 1, 0, 6, 2, 1]]) {
    guest.frame(LCP, data);
  }
  guest.frame(LCP, [REQUEST, 1, 0, 7, 2, 6, 0]);
  assert.deepEqual(guest.heard(), []);
});

test('no IP before the session is up', () => {
  const guest = new Guest();
  guest.frame(IP, [0x45]);
  guest.peer.sendPacket([0x45]);
  assert.deepEqual([guest.packets, guest.heard()], [[], []]);
});

test('our request comes again until it is acknowledged, and no longer', () => {
  const guest = new Guest();
  guest.say(LCP, REQUEST, 1, LWIP_LCP);
  guest.heard();
  guest.time.pass(3.1e9);
  guest.say(LCP, ACK, 99, []);
  const [again] = guest.agree();
  assert.deepEqual(again.slice(0, 2), [LCP, REQUEST]);
  assert.deepEqual(guest.agree()[0].slice(0, 2), [IPCP, REQUEST]);
  guest.say(IPCP, REQUEST, 2, OWN_ADDRESS);
  guest.heard();
  guest.time.pass(60e9);
  assert.deepEqual(guest.heard(), []);
});

test('another network protocol between request and answer does no harm', () => {
  const guest = new Guest();
  guest.say(LCP, REQUEST, 1, LWIP_LCP);
  guest.agree();
  const [own] = guest.heard();
  guest.say(0x8057, REQUEST, 1, []); // IPV6CP
  assert.deepEqual(guest.heard(), [[LCP, PROTOCOL_REJECT, 3, [0x80, 0x57, 1, 1, 0, 4]]]);
  guest.say(IPCP, ACK, own[2], own[3]);
  guest.say(IPCP, REQUEST, 2, OWN_ADDRESS);
  assert.ok(guest.peer.isUp);
});

test('an unknown code is rejected, an echo answered only when the link is open', () => {
  const guest = new Guest();
  guest.say(LCP, ECHO, 1, [0, 0, 0, 0]);
  assert.deepEqual(guest.heard(), []);
  guest.up();
  guest.say(LCP, ECHO, 5, [9, 9, 9, 9, 1, 2]);
  assert.deepEqual(guest.heard(), [[LCP, ECHO + 1, 5, [0, 0, 0, 0, 1, 2]]]);
  guest.say(LCP, 77, 6, []);
  assert.equal(guest.heard()[0][1], CODE_REJECT);
});

test('a guest that was reset negotiates anew, and its connections are forgotten', () => {
  const guest = new Guest();
  guest.up();
  guest.up();
  assert.equal(guest.downs, 1);
  assert.equal(guest.peer.stats.connects, 2);
});

test('the end of a session is confirmed', () => {
  const guest = new Guest();
  guest.up();
  guest.say(LCP, TERMINATE, 9, []);
  assert.deepEqual(guest.heard(), [[LCP, TERMINATE_ACK, 9, []]]);
  assert.ok(!guest.peer.isUp);
  assert.equal(guest.downs, 1);
  guest.time.pass(60e9);
  assert.deepEqual(guest.heard(), []);
});

test('control characters are escaped until the guest has said otherwise', () => {
  const guest = new Guest();
  guest.up();
  guest.line = [];
  guest.peer.sendPacket([0x45, 0x01, 0x11]);
  assert.ok(guest.line.includes(0x01) && guest.line.includes(0x11));
  const strict = new Guest();
  strict.say(LCP, REQUEST, 1, [2, 6, 0, 2, 0, 0]); // character 17, XON, alone
  strict.agree();
  strict.agree();
  strict.say(IPCP, REQUEST, 2, OWN_ADDRESS);
  strict.line = [];
  strict.peer.sendPacket([0x45, 0x01, 0x11]);
  assert.ok(strict.line.includes(0x01) && !strict.line.includes(0x11));
});

test('after a lost carrier the peer asks by itself until the guest answers', () => {
  const guest = new Guest();
  guest.up();
  guest.peer.lose();
  assert.equal(guest.downs, 1);
  guest.peer.begin();
  guest.time.pass(3.1e9);
  assert.equal(guest.heard().filter(([, code]) => code === REQUEST).length, 2);
  guest.up();
});
