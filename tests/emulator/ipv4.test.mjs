import assert from 'node:assert/strict';
import test from 'node:test';

import { answer } from '../../host_tools/onebyte/emulator/js/dns.mjs';
import * as ipv4 from '../../host_tools/onebyte/emulator/js/ipv4.mjs';

// What lwIP 2.2.1 of a MicroPython image sent: a query for "broker0.test".
const QUERY = Buffer.from(
  '4500003a00030000ff11a7ad0a0000020a0000012a2a0035002660c42a2a0100000100000000' +
    '00000762726f6b65723004746573740000010001',
  'hex',
);
const NAMES = new Map([['broker0.test', ipv4.parseAddress('10.0.0.1')]]);

test('the sum is that of the example in RFC 1071', () => {
  assert.equal(ipv4.sum([0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), 0xddf2);
});

test('addresses are read strictly', () => {
  assert.equal(ipv4.formatAddress(ipv4.parseAddress('192.168.255.1')), '192.168.255.1');
  for (const text of ['', '1.2.3', '1.2.3.4.5', '1.2.3.256', 'a.b.c.d', '1.2.3.4 ']) {
    assert.throws(() => ipv4.parseAddress(text), RangeError);
  }
});

test('a packet of lwIP is read', () => {
  const packet = ipv4.parsePacket(QUERY);
  assert.equal(ipv4.formatAddress(packet.source), '10.0.0.2');
  assert.equal(ipv4.formatAddress(packet.target), '10.0.0.1');
  assert.equal(packet.protocol, ipv4.UDP);
  const datagram = ipv4.parseDatagram(packet);
  assert.deepEqual([datagram.source, datagram.target], [0x2a2a, 53]);
});

test('a packet that is cut anywhere is none', () => {
  for (let length = 0; length < QUERY.length; length++) {
    assert.equal(ipv4.parsePacket(QUERY.subarray(0, length)), null);
  }
});

test('a packet with a damaged bit is none', () => {
  for (let bit = 0; bit < QUERY.length * 8; bit++) {
    const damaged = Uint8Array.from(QUERY);
    damaged[bit >> 3] ^= 1 << (bit & 7);
    const packet = ipv4.parsePacket(damaged);
    assert.equal(packet && ipv4.parseDatagram(packet), null, `bit ${bit}`);
  }
});

test('a fragment is none', () => {
  const fragment = Uint8Array.from(QUERY);
  fragment[6] = 0x20;
  fragment[10] -= 0x20; // the checksum is right
  assert.equal(ipv4.sum(fragment.subarray(0, 20)), 0xffff);
  assert.equal(ipv4.parsePacket(fragment), null);
});

test('what is packed has right checksums', () => {
  const from = { address: ipv4.parseAddress('10.0.0.1'), port: 53 };
  const to = { address: ipv4.parseAddress('10.0.0.2'), port: 4711 };
  const packet = ipv4.parsePacket(ipv4.packDatagram(from, to, Buffer.from('odd')));
  const datagram = ipv4.parseDatagram(packet);
  assert.deepEqual([...datagram.payload], [...Buffer.from('odd')]);
  assert.equal(ipv4.sum(ipv4.parsePacket(ipv4.packUnreachable(packet, 3)).payload), 0xffff);
});

test('an unreachable message quotes header and eight bytes', () => {
  const packet = ipv4.parsePacket(ipv4.packUnreachable(ipv4.parsePacket(QUERY), 3));
  assert.deepEqual([...packet.payload.subarray(0, 2)], [3, 3]);
  assert.deepEqual([...packet.payload.subarray(8)], [...QUERY.subarray(0, 28)]);
});

test('an echo is answered, anything else of ICMP is not', () => {
  const echo = Uint8Array.from([8, 0, 0, 0, 1, 2, 3, 4, 5]);
  new DataView(echo.buffer).setUint16(2, ipv4.sum(echo) ^ 0xffff);
  const request = ipv4.parsePacket(ipv4.packPacket(1, 2, ipv4.ICMP, echo));
  const reply = ipv4.parsePacket(ipv4.packEchoReply(request));
  assert.deepEqual([reply.source, reply.target, reply.payload[0]], [2, 1, 0]);
  assert.deepEqual([...reply.payload.subarray(4)], [1, 2, 3, 4, 5]);
  assert.equal(ipv4.packEchoReply(reply), null);
});

test('a known name has an address, an unknown one does not exist', () => {
  const query = ipv4.parseDatagram(ipv4.parsePacket(QUERY)).payload;
  const known = answer(query, NAMES);
  assert.deepEqual([...known.subarray(0, 8)], [0x2a, 0x2a, 0x81, 0x80, 0, 1, 0, 1]);
  assert.deepEqual([...known.subarray(-4)], [10, 0, 0, 1]);
  assert.equal(answer(query, new Map())[3] & 15, 3);
});

test('another type of record of a known name has no answer, but no error either', () => {
  const query = Uint8Array.from(ipv4.parseDatagram(ipv4.parsePacket(QUERY)).payload);
  query[query.length - 3] = 28; // AAAA
  const reply = answer(query, NAMES);
  assert.deepEqual([reply[3] & 15, reply[7]], [0, 0]);
});

test('a query that is cut, has a pointer, or is an answer harms nobody', () => {
  const query = ipv4.parseDatagram(ipv4.parsePacket(QUERY)).payload;
  for (let length = 0; length < query.length; length++) {
    const reply = answer(query.subarray(0, length), NAMES);
    assert.ok(reply === null || (reply[3] & 15) === 1);
  }
  const pointer = Uint8Array.from(query);
  pointer[12] = 0xc0;
  assert.equal(answer(pointer, NAMES)[3] & 15, 1);
  const reply = Uint8Array.from(query);
  reply[2] |= 0x80;
  assert.equal(answer(reply, NAMES), null);
});
