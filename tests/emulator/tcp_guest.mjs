/** A guest's half of a TCP connection, written out by hand, and a server on the loopback interface. */

import net from 'node:net';

import * as ipv4 from '../../host_tools/onebyte/emulator/js/ipv4.mjs';
import { Internet } from '../../host_tools/onebyte/emulator/js/ipv4_tcp.mjs';
import {
  ACK,
  FIN,
  PSH,
  RST,
  SYN,
  packSegment,
  parseSegment,
} from '../../host_tools/onebyte/emulator/js/segment.mjs';
import { EmulatedTime } from './emulated_time.mjs';

const GATEWAY = ipv4.parseAddress('10.0.0.1');
const PATIENCE_MS = 10_000;

/** Wait until a condition holds; the test fails when it does not. */
export async function until(condition) {
  const deadline = Date.now() + PATIENCE_MS;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`never: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** Start a server that keeps what it takes; it is stopped when the test is over. */
export async function serve(t) {
  const server = { sockets: [], received: Buffer.alloc(0), ended: false, closed: false };
  const listener = net.createServer({ allowHalfOpen: true }, (socket) => {
    server.sockets.push(socket);
    socket.on('data', (data) => (server.received = Buffer.concat([server.received, data])));
    socket.on('end', () => (server.ended = true));
    socket.on('close', () => (server.closed = true));
    socket.on('error', () => {});
  });
  await new Promise((resolve) => listener.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.sockets.forEach((socket) => socket.destroy());
    listener.close();
  });
  server.port = listener.address().port;
  return server;
}

export class Guest {
  /** @param port of the server that 10.0.0.1:1883 leads to. */
  constructor(port) {
    this.time = new EmulatedTime();
    this.segments = [];
    this.packets = [];
    this.traffic = [];
    const options = {
      redirects: new Map([['10.0.0.1:1883', port]]),
      names: new Map(),
      gateway: GATEWAY,
      dns: GATEWAY,
    };
    const traffic = {
      asked: () => this.traffic.push('asked'),
      settled: () => this.traffic.push('settled'),
    };
    this.internet = new Internet(options, this.time, (bytes) => this._take(bytes), traffic);
    this.own = { address: ipv4.parseAddress('10.0.0.2'), port: 50000 };
    this.peer = { address: GATEWAY, port: 1883 };
    this.seq = 0xfffffff0; // wraps within the first bytes
    this.ack = 0;
    this.window = 8192;
  }

  _take(bytes) {
    const packet = ipv4.parsePacket(bytes);
    this.packets.push(packet);
    if (packet.protocol === ipv4.TCP) this.segments.push(parseSegment(packet));
  }

  get last() {
    return this.segments.at(-1);
  }

  /** Take the segments that have come since. */
  taken() {
    return this.segments.splice(0);
  }

  send(flags, data = '', changes = {}) {
    const segment = { seq: this.seq, ack: this.ack, window: this.window, flags, ...changes };
    const bytes = Buffer.from(data);
    this.internet.input(packSegment(this.own, this.peer, { ...segment, data: bytes }));
  }

  /** Send in sequence. */
  say(data, flags = PSH | ACK) {
    this.send(flags, data);
    this.seq = (this.seq + Buffer.byteLength(data) + (flags & (SYN | FIN) ? 1 : 0)) >>> 0;
  }

  /** Confirm everything that has come in sequence; return its data. */
  confirm() {
    let data = '';
    for (const segment of this.taken()) {
      if (segment.seq !== this.ack) continue;
      data += Buffer.from(segment.data).toString();
      this.ack = (this.ack + segment.data.length + (segment.flags & FIN ? 1 : 0)) >>> 0;
    }
    this.send(ACK);
    return data;
  }

  /** Open a connection. */
  async connect(size = 1460) {
    this.send(SYN, '', { size });
    this.seq = (this.seq + 1) >>> 0;
    await until(() => this.segments.length);
    const [answer] = this.taken();
    if (!(answer.flags & RST)) {
      this.ack = (answer.seq + 1) >>> 0;
      this.send(ACK);
    }
    return answer;
  }
}
