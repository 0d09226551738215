/**
 * The internet as the guest sees it: a table of TCP services on the host's loopback interface, a name
 * server, and nothing else. What is not in the table is refused, so that no program in the emulator
 * ever reaches anything but a server of its own test.
 */

import net from 'node:net';

import { Connection } from './connection.mjs';
import { answer } from './dns.mjs';
import * as ipv4 from './ipv4.mjs';
import { ACK, RST, SYN, packReset, parseSegment } from './segment.mjs';

const LOOPBACK = '127.0.0.1';
const DNS_PORT = 53;

/** Nothing to slow down for. */
const NO_TRAFFIC = { asked() {}, settled() {} };

/** Takes the guest's packets and answers them. */
export class Internet {
  /**
   * @param options `{redirects, names, gateway, dns}`: `redirects` is a Map of "address:port" as the
   *   guest knows it to a loopback port, `names` a Map of names to addresses, `dns` the address of
   *   the name server or null.
   * @param clock clock of the emulator.
   * @param send called with each packet for the guest.
   * @param traffic told when the host owes the guest an answer: `asked(connection)`,
   *   `settled(connection)`; see `pace.mjs`.
   */
  constructor(options, clock, send, traffic = NO_TRAFFIC) {
    this.options = options;
    this._connections = new Map();
    this._send = send;
    this._context = {
      clock,
      send,
      traffic,
      closed: (connection) => this._closed(connection),
    };
    this.stats = { packets: 0, damaged: 0, connections: 0, refused: 0, retransmitted: 0, names: 0 };
  }

  /** How many connections there are. */
  get nConnections() {
    return this._connections.size;
  }

  /** Take an IP packet of the guest. */
  input(bytes) {
    this.stats.packets++;
    const packet = ipv4.parsePacket(bytes);
    if (packet === null) this.stats.damaged++;
    else if (packet.protocol === ipv4.TCP) this._takeSegment(packet);
    else if (packet.protocol === ipv4.UDP) this._takeDatagram(packet);
    else if (packet.protocol === ipv4.ICMP) this._takeMessage(packet);
    else this._refuse(packet, ipv4.PROHIBITED);
  }

  /** Forget all connections without a word: the guest's link is gone. */
  abandon() {
    for (const connection of [...this._connections.values()]) connection.abandon();
  }

  _refuse(packet, code) {
    this.stats.refused++;
    if (packet.target >>> 28 === 0xe) return; // nobody answers a multicast
    this._send(ipv4.packUnreachable(packet, code));
  }

  _takeMessage(packet) {
    const reply = packet.target === this.options.gateway ? ipv4.packEchoReply(packet) : null;
    if (reply) this._send(reply);
    else this.stats.refused++;
  }

  _takeDatagram(packet) {
    const datagram = ipv4.parseDatagram(packet);
    if (datagram === null) {
      this.stats.damaged++;
    } else if (packet.target !== this.options.dns || datagram.target !== DNS_PORT) {
      this._refuse(packet, ipv4.PORT_UNREACHABLE);
    } else {
      const payload = answer(datagram.payload, this.options.names);
      if (payload === null) return;
      this.stats.names++;
      const from = { address: packet.target, port: DNS_PORT };
      const to = { address: packet.source, port: datagram.source };
      this._send(ipv4.packDatagram(from, to, payload));
    }
  }

  _takeSegment(packet) {
    const segment = parseSegment(packet);
    if (segment === null) {
      this.stats.damaged++;
      return;
    }
    const known = this._connections.get(keyOf(packet, segment));
    if (known) known.input(segment);
    else if ((segment.flags & (SYN | ACK | RST)) === SYN) this._open(packet, segment);
    else this._sendReset(packet, segment);
  }

  _sendReset(packet, segment) {
    const reset = packReset(packet, segment);
    if (reset) this._send(reset);
  }

  _open(packet, segment) {
    const name = `${ipv4.formatAddress(packet.target)}:${segment.targetPort}`;
    const port = this.options.redirects.get(name);
    if (port === undefined) {
      this.stats.refused++;
      this._sendReset(packet, segment);
      return;
    }
    this.stats.connections++;
    const socket = net.connect({ host: LOOPBACK, port, allowHalfOpen: true, noDelay: true });
    const ends = {
      guest: { address: packet.source, port: segment.sourcePort },
      server: { address: packet.target, port: segment.targetPort },
    };
    const connection = new Connection(ends, segment, socket, this._context);
    connection.key = keyOf(packet, segment);
    this._connections.set(connection.key, connection);
  }

  _closed(connection) {
    this.stats.retransmitted += connection.nRetransmitted;
    this._connections.delete(connection.key);
  }
}

function keyOf(packet, segment) {
  return `${packet.source}:${segment.sourcePort}>${packet.target}:${segment.targetPort}`;
}
