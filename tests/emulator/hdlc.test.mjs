import assert from 'node:assert/strict';
import test from 'node:test';

import { FrameReader, packFrame } from '../../host_tools/onebyte/emulator/js/hdlc.mjs';

function read(bytes, longest) {
  const frames = [];
  const reader = new FrameReader((frame) => frames.push([...frame]), longest);
  for (const byte of bytes) reader.input(byte);
  return { frames, nBad: reader.nBad };
}

test('the check sequence is CRC-16/X-25 with its published check value', () => {
  const framed = packFrame(Buffer.from('123456789'), 0);
  assert.deepEqual([...framed.subarray(-3)], [0x6e, 0x90, 0x7e]);
});

test('any content comes back, whatever is escaped', () => {
  let seed = 1;
  const random = () => (seed = (seed * 1103515245 + 12345) & 0x7fffffff) >> 16;
  for (let i = 0; i < 200; i++) {
    const content = Array.from({ length: 2 + (random() % 300) }, () => random() & 0xff);
    const map = i % 2 ? 0 : random() * 65536;
    assert.deepEqual(read(packFrame(content, map)), { frames: [content], nBad: 0 });
  }
});

test('every control character asked for is escaped, flag and escape always', () => {
  const all = Array.from({ length: 256 }, (_, i) => i);
  assert.ok(packFrame(all).subarray(1, -1).every((byte) => byte >= 0x20));
  const plain = packFrame(all, 0);
  assert.equal(plain.filter((byte) => byte === 0x7e).length, 2);
  assert.ok(plain.includes(0x11));
});

test('each flipped bit is found', () => {
  const framed = packFrame([0xff, 0x03, 0xc0, 0x21, 1, 2, 3], 0);
  for (let bit = 8; bit < (framed.length - 1) * 8; bit++) {
    const damaged = Uint8Array.from(framed);
    damaged[bit >> 3] ^= 1 << (bit & 7);
    assert.deepEqual(read(damaged).frames.filter((frame) => frame.length === 7), []);
  }
});

test('an aborted, a short and a long frame are bad, and the next one is read', () => {
  const good = packFrame([1, 2, 3, 4], 0);
  for (const bad of [[0x7e, 1, 2, 0x7d, 0x7e], [0x7e, 1, 2, 3, 0x7e], packFrame(Array(50).fill(7))]) {
    assert.deepEqual(read([...bad, ...good], 40), { frames: [[1, 2, 3, 4]], nBad: 1 });
  }
});

test('one flag between two frames is enough', () => {
  const bytes = [...packFrame([1, 2], 0), ...packFrame([3, 4], 0).subarray(1)];
  assert.deepEqual(read(bytes).frames, [[1, 2], [3, 4]]);
});
