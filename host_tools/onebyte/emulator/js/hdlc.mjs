/** Frames on a serial line: RFC 1662, asynchronous HDLC with a 16 bit check sequence. */

const FLAG = 0x7e;
const ESCAPE = 0x7d;
const FLIP = 0x20;
const GOOD_CHECK = 0xf0b8;
const SHORTEST = 4;

const TABLE = Uint16Array.from({ length: 256 }, (_, i) => {
  let value = i;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >> 1) ^ 0x8408 : value >> 1;
  return value;
});

function check(bytes) {
  let value = 0xffff;
  for (const byte of bytes) value = (value >> 8) ^ TABLE[(value ^ byte) & 0xff];
  return value;
}

/**
 * Return a frame as the line carries it, flags included.
 *
 * @param content address, control, protocol and information.
 * @param escaped bit i: control character i must be escaped (the peer's ACCM).
 */
export function packFrame(content, escaped = 0xffffffff) {
  const value = check(content) ^ 0xffff;
  const out = [FLAG];
  for (const byte of [...content, value & 0xff, value >> 8]) {
    const control = byte < FLIP && (escaped >>> byte) & 1;
    if (control || byte === FLAG || byte === ESCAPE) out.push(ESCAPE, byte ^ FLIP);
    else out.push(byte);
  }
  out.push(FLAG);
  return Uint8Array.from(out);
}

/** Takes bytes, gives the content of each frame whose check is right. */
export class FrameReader {
  /**
   * @param onFrame called with the content of a good frame.
   * @param longest longest content plus check in bytes; longer frames count as bad.
   */
  constructor(onFrame, longest = 1600) {
    this.onFrame = onFrame;
    this.longest = longest;
    this.nBad = 0;
    this.reset();
  }

  /** Forget a frame that has begun. */
  reset() {
    this._bytes = [];
    this._escaped = false;
    this._tooLong = false;
  }

  /** Take one byte of the line. */
  input(byte) {
    if (byte === FLAG) {
      this._end();
    } else if (byte === ESCAPE) {
      this._escaped = true;
    } else {
      if (this._bytes.length >= this.longest) this._tooLong = true;
      else this._bytes.push(this._escaped ? byte ^ FLIP : byte);
      this._escaped = false;
    }
  }

  _end() {
    const bytes = Uint8Array.from(this._bytes);
    const aborted = this._escaped || this._tooLong; // "escape, flag" gives a frame up
    this.reset();
    if (!bytes.length && !aborted) return;
    if (aborted || bytes.length < SHORTEST || check(bytes) !== GOOD_CHECK) this.nBad++;
    else this.onFrame(bytes.subarray(0, -2));
  }
}
