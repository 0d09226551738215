/** IPv4, ICMP and UDP packets: parsed strictly, packed with their checksums. Addresses are uint32. */

export const ICMP = 1;
export const TCP = 6;
export const UDP = 17;

const HEADER = 20;
const UDP_HEADER = 8;
const TIME_TO_LIVE = 64;
const ECHO_REQUEST = 8;
const UNREACHABLE = 3;
export const PORT_UNREACHABLE = 3;
export const PROHIBITED = 13;

/** Return the bytes of an address. */
export function packAddress(address) {
  return [address >>> 24, (address >>> 16) & 0xff, (address >>> 8) & 0xff, address & 0xff];
}

/** Return the number of a dotted address. Throws RangeError. */
export function parseAddress(text) {
  const parts = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text)?.slice(1).map(Number);
  if (!parts || parts.some((part) => part > 255)) throw new RangeError(`no address: ${text}`);
  return parts.reduce((sum, part) => sum * 256 + part, 0);
}

/** Return the dotted text of an address. */
export function formatAddress(address) {
  return packAddress(address).join('.');
}

/** Return the one's complement sum of big endian words (RFC 1071), not inverted. */
export function sum(bytes, start = 0) {
  let total = start;
  for (let i = 0; i < bytes.length; i += 2) total += (bytes[i] << 8) | (bytes[i + 1] ?? 0);
  while (total > 0xffff) total = (total & 0xffff) + Math.floor(total / 0x10000);
  return total;
}

/** Return the sum of the pseudo header that TCP and UDP checksums begin with. */
export function pseudoSum(source, target, protocol, length) {
  return sum([...packAddress(source), ...packAddress(target), 0, protocol, length >> 8, length & 0xff]);
}

/**
 * Return `{source, target, protocol, payload, packet}`, or null for what is damaged, has another
 * version, or is a fragment (nobody here sends more than fits).
 */
export function parsePacket(bytes) {
  if (bytes.length < HEADER || bytes[0] >> 4 !== 4) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const headerLength = (bytes[0] & 15) * 4;
  const length = view.getUint16(2);
  if (headerLength < HEADER || length < headerLength || length > bytes.length) return null;
  if (sum(bytes.subarray(0, headerLength)) !== 0xffff || view.getUint16(6) & 0x3fff) return null;
  return {
    source: view.getUint32(12),
    target: view.getUint32(16),
    protocol: bytes[9],
    payload: bytes.subarray(headerLength, length),
    packet: bytes.subarray(0, length),
  };
}

/** Return an IPv4 packet. */
export function packPacket(source, target, protocol, payload) {
  const bytes = new Uint8Array(HEADER + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, 0x4500);
  view.setUint16(2, bytes.length);
  view.setUint16(6, 0x4000); // do not fragment
  view.setUint16(8, (TIME_TO_LIVE << 8) | protocol);
  view.setUint32(12, source);
  view.setUint32(16, target);
  view.setUint16(10, sum(bytes.subarray(0, HEADER)) ^ 0xffff);
  bytes.set(payload, HEADER);
  return bytes;
}

/** Return `{source, target, payload}` with ports, or null. */
export function parseDatagram(packet) {
  const { payload } = packet;
  if (payload.length < UDP_HEADER) return null;
  const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
  const length = view.getUint16(4);
  if (length < UDP_HEADER || length > payload.length) return null;
  const datagram = payload.subarray(0, length);
  const start = pseudoSum(packet.source, packet.target, UDP, length);
  if (view.getUint16(6) !== 0 && sum(datagram, start) !== 0xffff) return null;
  return {
    source: view.getUint16(0),
    target: view.getUint16(2),
    payload: datagram.subarray(UDP_HEADER),
  };
}

/** Return an IPv4 packet with a UDP datagram; from and to are `{address, port}`. */
export function packDatagram(from, to, payload) {
  const bytes = new Uint8Array(UDP_HEADER + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, from.port);
  view.setUint16(2, to.port);
  view.setUint16(4, bytes.length);
  bytes.set(payload, UDP_HEADER);
  const value = sum(bytes, pseudoSum(from.address, to.address, UDP, bytes.length)) ^ 0xffff;
  view.setUint16(6, value || 0xffff);
  return packPacket(from.address, to.address, UDP, bytes);
}

/** Return the answer to an ICMP echo request, or null for anything else. */
export function packEchoReply(packet) {
  if (packet.payload.length < 8 || packet.payload[0] !== ECHO_REQUEST) return null;
  if (sum(packet.payload) !== 0xffff) return null;
  return packPacket(packet.target, packet.source, ICMP, packIcmp(0, 0, packet.payload.subarray(4)));
}

/** Return the ICMP message that says why a packet went nowhere. */
export function packUnreachable(packet, code) {
  const headerLength = packet.packet.length - packet.payload.length;
  const quoted = packet.packet.subarray(0, headerLength + 8);
  const message = packIcmp(UNREACHABLE, code, [0, 0, 0, 0, ...quoted]);
  return packPacket(packet.target, packet.source, ICMP, message);
}

function packIcmp(type, code, rest) {
  const bytes = Uint8Array.from([type, code, 0, 0, ...rest]);
  new DataView(bytes.buffer).setUint16(2, sum(bytes) ^ 0xffff);
  return bytes;
}
