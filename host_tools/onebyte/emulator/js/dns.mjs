/** A name server that knows a few names: RFC 1035, one question, A records. */

const HEADER = 12;
const TYPE_A = 1;
const CLASS_INTERNET = 1;
const RESPONSE = 0x8000;
const RECURSION = 0x0080;
const RECURSION_DESIRED = 0x0100;
const FORMAT_ERROR = 1;
const NO_SUCH_NAME = 3;
const NOT_IMPLEMENTED = 4;
const LIFETIME_S = 60;
const POINTER_TO_QUESTION = 0xc000 | HEADER;

/** Return `{name, type, class, end}` of the one question, or null. */
function parseQuestion(bytes) {
  const labels = [];
  let at = HEADER;
  for (;;) {
    const length = bytes[at++];
    if (length === undefined || length > 63 || at + length > bytes.length) return null;
    if (length === 0) break;
    labels.push(String.fromCharCode(...bytes.subarray(at, at + length)));
    at += length;
  }
  if (at + 4 > bytes.length || !labels.length) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const name = labels.join('.').toLowerCase();
  return { name, type: view.getUint16(at), class: view.getUint16(at + 2), end: at + 4 };
}

/**
 * Return the answer to a query, or null when it is none.
 *
 * @param bytes payload of the datagram.
 * @param names Map of names in lower case to addresses.
 */
export function answer(bytes, names) {
  if (bytes.length < HEADER) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const flags = view.getUint16(2);
  if (flags & RESPONSE) return null;
  const question = view.getUint16(4) === 1 ? parseQuestion(bytes) : null;
  if (question === null) return pack(bytes, HEADER, FORMAT_ERROR, null);
  if (flags & 0x7800) return pack(bytes, question.end, NOT_IMPLEMENTED, null);
  const address = names.get(question.name);
  if (address === undefined) return pack(bytes, question.end, NO_SUCH_NAME, null);
  const isAddress = question.type === TYPE_A && question.class === CLASS_INTERNET;
  return pack(bytes, question.end, 0, isAddress ? address : null);
}

function pack(query, end, code, address) {
  const out = new Uint8Array(end + (address === null ? 0 : 16));
  const view = new DataView(out.buffer);
  out.set(query.subarray(0, end));
  const desired = new DataView(query.buffer, query.byteOffset).getUint16(2) & RECURSION_DESIRED;
  view.setUint16(2, RESPONSE | RECURSION | desired | code);
  view.setUint16(4, end > HEADER ? 1 : 0);
  view.setUint16(6, address === null ? 0 : 1);
  view.setUint32(8, 0);
  if (address !== null) {
    view.setUint16(end, POINTER_TO_QUESTION);
    view.setUint16(end + 2, TYPE_A);
    view.setUint16(end + 4, CLASS_INTERNET);
    view.setUint32(end + 6, LIFETIME_S);
    view.setUint16(end + 10, 4);
    view.setUint32(end + 12, address);
  }
  return out;
}
