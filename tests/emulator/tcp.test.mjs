import assert from 'node:assert/strict';
import test from 'node:test';

import * as ipv4 from '../../host_tools/onebyte/emulator/js/ipv4.mjs';
import { ACK, FIN, PSH, RST, SYN } from '../../host_tools/onebyte/emulator/js/segment.mjs';
import { Guest, serve, until } from './tcp_guest.mjs';

const S = 1e9;

async function connected(t, size) {
  const server = await serve(t);
  const guest = new Guest(server.port);
  await guest.connect(size);
  await until(() => server.sockets.length);
  return { server, guest };
}

test('a connection is accepted with the size of its segments', async (t) => {
  const server = await serve(t);
  const answer = await new Guest(server.port).connect();
  assert.equal(answer.flags, SYN | ACK);
  assert.equal(answer.ack, 0xfffffff1);
  assert.equal(answer.size, 1460);
});

test('bytes go both ways, over the wrap of the sequence number', async (t) => {
  const { server, guest } = await connected(t);
  guest.say('twenty bytes, surely');
  assert.equal(guest.last.ack, guest.seq);
  assert.ok(guest.seq < 0x100);
  guest.say('!');
  await until(() => server.received.length === 21);
  server.sockets[0].write('answer');
  await until(() => guest.last.data.length);
  assert.equal(guest.confirm(), 'answer');
});

test('any other address and port is reset, and nothing is connected', async (t) => {
  const server = await serve(t);
  for (const [address, port] of [['10.0.0.1', 1884], ['8.8.8.8', 1883], ['127.0.0.1', server.port]]) {
    const guest = new Guest(server.port);
    guest.peer = { address: ipv4.parseAddress(address), port };
    guest.send(SYN);
    assert.equal(guest.last.flags, RST | ACK);
    assert.equal(guest.last.ack, 0xfffffff1);
    assert.equal(guest.internet.stats.refused, 1);
  }
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(server.sockets.length, 0);
});

test('a datagram to anybody but the name server is unreachable', async () => {
  const guest = new Guest(1);
  const to = { address: ipv4.parseAddress('8.8.8.8'), port: 53 };
  guest.internet.input(ipv4.packDatagram(guest.own, to, Buffer.from('x')));
  assert.equal(guest.packets[0].protocol, ipv4.ICMP);
  assert.deepEqual([...guest.packets[0].payload.subarray(0, 2)], [3, 3]);
});

test('a closed port of the host is a reset for the guest', async (t) => {
  const server = await serve(t);
  const guest = new Guest(server.port === 1 ? 2 : 1); // nobody listens there
  const answer = await guest.connect();
  assert.equal(answer.flags, RST | ACK);
  assert.equal(guest.internet.nConnections, 0);
});

test('a segment of no connection is reset with the number it confirms', () => {
  const guest = new Guest(1);
  guest.send(PSH | ACK, 'late', { ack: 77 });
  assert.deepEqual([guest.last.flags, guest.last.seq], [RST, 77]);
  guest.send(RST);
  assert.equal(guest.segments.length, 1);
});

test('what the guest does not confirm is sent again, later each time', async (t) => {
  const { server, guest } = await connected(t);
  server.sockets[0].write('lost?');
  await until(() => guest.last?.data.length);
  guest.taken();
  guest.time.pass(0.9 * S);
  assert.equal(guest.segments.length, 0);
  guest.time.pass(0.2 * S);
  assert.equal(Buffer.from(guest.last.data).toString(), 'lost?');
  guest.time.pass(1.5 * S);
  assert.equal(guest.segments.length, 1);
  guest.time.pass(1 * S);
  assert.equal(guest.segments.length, 2);
  assert.equal(guest.confirm(), 'lost?');
  guest.time.pass(60 * S);
  assert.equal(guest.segments.length, 0);
});

test('after a loss in the middle everything from there on comes again', async (t) => {
  const { server, guest } = await connected(t, 100);
  server.sockets[0].write('a'.repeat(100) + 'b'.repeat(100) + 'c'.repeat(100));
  await until(() => guest.segments.length === 3);
  const [first] = guest.taken();
  guest.ack = (first.seq + 100) >>> 0;
  guest.send(ACK);
  guest.time.pass(1.1 * S);
  assert.equal(guest.confirm(), 'b'.repeat(100) + 'c'.repeat(100));
});

test('a late confirmation of everything, after a repetition, is believed', async (t) => {
  const { server, guest } = await connected(t, 100);
  server.sockets[0].end('d'.repeat(350));
  await until(() => guest.segments.length === 5);
  const end = guest.last.seq;
  guest.window = 100; // so that the repetition is not everything at once
  guest.send(ACK);
  guest.taken();
  guest.time.pass(1.1 * S);
  assert.equal(guest.segments.length, 1);
  guest.ack = (end + 1) >>> 0;
  guest.send(ACK);
  guest.taken();
  guest.time.pass(60 * S);
  assert.equal(guest.segments.length, 0);
  guest.say('', FIN | ACK);
  guest.time.pass(3 * S);
  assert.equal(guest.internet.nConnections, 0);
});

test('a guest that is gone is given up, and the server hears of it', async (t) => {
  const { server, guest } = await connected(t);
  server.sockets[0].write('anybody?');
  await until(() => guest.last?.data.length);
  guest.time.pass(120 * S);
  assert.equal(guest.internet.nConnections, 0);
  await until(() => server.closed);
});

test('segments are no longer than the guest allows, nor more than its window', async (t) => {
  const { server, guest } = await connected(t, 300);
  guest.window = 700;
  guest.say('x');
  guest.taken();
  server.sockets[0].write('y'.repeat(2000));
  await until(() => guest.segments.length === 3);
  const sizes = guest.segments.map((segment) => segment.data.length);
  assert.deepEqual(sizes, [300, 300, 100]);
  let got = '';
  while (got.length < 2000) got += guest.confirm();
  assert.equal(got, 'y'.repeat(2000));
});

test('a closed window is probed with one byte and opens again', async (t) => {
  const { server, guest } = await connected(t);
  guest.window = 0;
  guest.say('x');
  guest.taken();
  server.sockets[0].write('waits');
  await until(() => guest.traffic.at(-1) === 'settled');
  assert.equal(guest.segments.length, 0);
  guest.time.pass(1.1 * S);
  assert.deepEqual(guest.segments.map((segment) => segment.data.length), [1]);
  guest.taken();
  guest.window = 100;
  guest.send(ACK);
  guest.time.pass(10 * S);
  let got = '';
  while (guest.segments.length) got += guest.confirm();
  assert.equal(got, 'waits');
});

test('a byte that comes twice is taken once, one that comes too early not at all', async (t) => {
  const { server, guest } = await connected(t);
  guest.say('abc');
  guest.send(PSH | ACK, 'bcde', { seq: (guest.seq - 2) >>> 0 });
  guest.seq = (guest.seq + 2) >>> 0;
  guest.send(PSH | ACK, 'zz', { seq: (guest.seq + 1) >>> 0 });
  assert.equal(guest.last.ack, guest.seq);
  guest.say('f');
  await until(() => server.received.toString() === 'abcdef');
});

test('a confirmation of what was never sent is answered, not believed', async (t) => {
  const { server, guest } = await connected(t);
  server.sockets[0].write('one');
  await until(() => guest.last?.data.length);
  const { seq } = guest.taken()[0];
  guest.send(ACK, '', { ack: (seq + 1000) >>> 0 });
  assert.equal(guest.last.flags, ACK);
  guest.taken();
  guest.time.pass(1.1 * S);
  assert.equal(Buffer.from(guest.last.data).toString(), 'one');
});

test('a damaged segment is dropped', async (t) => {
  const { guest } = await connected(t);
  guest.taken();
  const input = guest.internet.input.bind(guest.internet);
  guest.internet.input = (bytes) => {
    bytes[bytes.length - 1] ^= 1;
    input(bytes);
  };
  guest.say('x');
  assert.equal(guest.internet.stats.damaged, 1);
  assert.equal(guest.segments.length, 0);
});

test('the guest ends first, the server may still speak', async (t) => {
  const { server, guest } = await connected(t);
  guest.say('', FIN | ACK);
  assert.equal(guest.last.ack, guest.seq);
  await until(() => server.ended);
  guest.taken();
  server.sockets[0].end('bye');
  await until(() => guest.last && guest.last.flags & FIN);
  assert.equal(guest.confirm(), 'bye');
  assert.equal(guest.internet.nConnections, 1);
  guest.time.pass(3 * S);
  assert.equal(guest.internet.nConnections, 0);
});

test('the server ends first, the guest may still speak; its last FIN may come twice', async (t) => {
  const { server, guest } = await connected(t);
  server.sockets[0].end();
  await until(() => guest.last && guest.last.flags & FIN);
  guest.confirm();
  guest.say('more');
  await until(() => server.received.toString() === 'more');
  guest.say('', FIN | ACK);
  guest.taken();
  guest.send(FIN | ACK, '', { seq: (guest.seq - 1) >>> 0 });
  assert.deepEqual([guest.last.flags, guest.last.ack], [ACK, guest.seq]);
  await until(() => server.ended);
});

test('a reset of the guest closes the server side, one with a wrong number does not', async (t) => {
  const { server, guest } = await connected(t);
  guest.send(RST, '', { seq: (guest.seq + 9) >>> 0 });
  assert.equal(guest.internet.nConnections, 1);
  guest.send(RST);
  assert.equal(guest.internet.nConnections, 0);
  await until(() => server.closed);
});

test('a link that is gone leaves the server waiting, until it gives up', async (t) => {
  const { server, guest } = await connected(t);
  guest.internet.abandon();
  assert.equal(guest.internet.nConnections, 0);
  server.sockets[0].write('nobody reads this');
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.ok(!server.ended && !server.closed);
  assert.equal(guest.segments.length, 0);
  guest.time.pass(121 * S);
  await until(() => server.ended);
});

test('a server that breaks off is a reset for the guest', async (t) => {
  const { server, guest } = await connected(t);
  guest.taken();
  server.sockets[0].resetAndDestroy();
  await until(() => guest.last && guest.last.flags & RST);
});

test('the pacer hears of every question and every answer', async (t) => {
  const { server, guest } = await connected(t);
  assert.deepEqual(guest.traffic, ['asked', 'settled']);
  guest.say('x');
  assert.equal(guest.traffic.at(-1), 'asked');
  server.sockets[0].write('y');
  await until(() => guest.traffic.at(-1) === 'settled');
});

test('a slow server closes the window, and opening it is told', async (t) => {
  const { server, guest } = await connected(t);
  server.sockets[0].pause();
  let n = 0;
  while (guest.last === undefined || guest.last.window > 1000) {
    const size = Math.min(1000, guest.last?.window ?? 1000);
    guest.say('w'.repeat(size));
    n += size;
    if (n % 64000 === 0) await new Promise((resolve) => setImmediate(resolve));
    assert.ok(n < 64e6, 'the window never closes');
  }
  guest.taken();
  server.sockets[0].resume();
  await until(() => guest.last && guest.last.window > 8000);
  await until(() => server.received.length === n);
});
