/** TCP segments: RFC 9293, parsed strictly; the only option known is the largest segment size. */

import { TCP, packPacket, pseudoSum, sum } from './ipv4.mjs';

export const FIN = 0x01;
export const SYN = 0x02;
export const RST = 0x04;
export const PSH = 0x08;
export const ACK = 0x10;

const HEADER = 20;
const OPTION_END = 0;
const OPTION_NOTHING = 1;
const OPTION_SIZE = 2;

/** Return the signed distance from sequence number b to a. */
export function distance(a, b) {
  return (a - b) | 0;
}

/** Return the largest segment that the options allow, null without one, undefined if malformed. */
function parseSize(options) {
  let size = null;
  for (let at = 0; at < options.length && options[at] !== OPTION_END; ) {
    if (options[at] === OPTION_NOTHING) {
      at++;
      continue;
    }
    const length = options[at + 1];
    if (length === undefined || length < 2 || at + length > options.length) return undefined;
    if (options[at] === OPTION_SIZE) {
      if (length !== 4) return undefined;
      size = (options[at + 2] << 8) | options[at + 3];
    }
    at += length;
  }
  return size;
}

/**
 * Return `{sourcePort, targetPort, seq, ack, flags, window, size, data}`, or null when it is damaged.
 *
 * @param packet of `parsePacket`.
 */
export function parseSegment(packet) {
  const bytes = packet.payload;
  if (bytes.length < HEADER) return null;
  if (sum(bytes, pseudoSum(packet.source, packet.target, TCP, bytes.length)) !== 0xffff) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const headerLength = (bytes[12] >> 4) * 4;
  if (headerLength < HEADER || headerLength > bytes.length) return null;
  const size = parseSize(bytes.subarray(HEADER, headerLength));
  if (size === undefined) return null;
  return {
    sourcePort: view.getUint16(0),
    targetPort: view.getUint16(2),
    seq: view.getUint32(4),
    ack: view.getUint32(8),
    flags: bytes[13] & 0x3f,
    window: view.getUint16(14),
    size,
    data: bytes.subarray(headerLength),
  };
}

/**
 * Return an IPv4 packet with a segment.
 *
 * @param from, to `{address, port}`.
 * @param segment `{seq, ack, flags, window, data, size}`; data and size may be missing.
 */
export function packSegment(from, to, segment) {
  const data = segment.data ?? new Uint8Array();
  const headerLength = segment.size ? HEADER + 4 : HEADER;
  const bytes = new Uint8Array(headerLength + data.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, from.port);
  view.setUint16(2, to.port);
  view.setUint32(4, segment.seq);
  view.setUint32(8, segment.ack);
  view.setUint16(12, (headerLength << 10) | segment.flags);
  view.setUint16(14, segment.window);
  if (segment.size) view.setUint32(HEADER, (OPTION_SIZE << 24) | (4 << 16) | segment.size);
  bytes.set(data, headerLength);
  const start = pseudoSum(from.address, to.address, TCP, bytes.length);
  view.setUint16(16, sum(bytes, start) ^ 0xffff);
  return packPacket(from.address, to.address, TCP, bytes);
}

/** Return the reset that answers a segment nobody expects (RFC 9293, 3.10.7.1), null for a reset. */
export function packReset(packet, segment) {
  if (segment.flags & RST) return null;
  const from = { address: packet.target, port: segment.targetPort };
  const to = { address: packet.source, port: segment.sourcePort };
  if (segment.flags & ACK) {
    return packSegment(from, to, { seq: segment.ack, ack: 0, flags: RST, window: 0 });
  }
  const length =
    segment.data.length + (segment.flags & SYN ? 1 : 0) + (segment.flags & FIN ? 1 : 0);
  const ack = (segment.seq + length) >>> 0;
  return packSegment(from, to, { seq: 0, ack, flags: RST | ACK, window: 0 });
}
