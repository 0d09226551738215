/** LIS3DH after ST's datasheet DocID17530 rev 2 and application note AN3308 (the FIFO's flags). */

import { FifoChip } from './fifo_chip.mjs';

const WHO_AM_I = 0x0f;
const CTRL_REG1 = 0x20;
const CTRL_REG4 = 0x23;
const CTRL_REG5 = 0x24;
const STATUS_REG = 0x27;
const OUT_X_L = 0x28;
const OUT_Z_H = 0x2d;
const FIFO_CTRL_REG = 0x2e;
const FIFO_SRC_REG = 0x2f;
const LAST_WRITABLE = 0x3f;

const INCREMENT = 0x80; // of the sub-address (6.1.1)
const FIFO_ROWS = 32;
const LOW_POWER = 0x08; // CTRL_REG1: 8 bits
const BIG_ENDIAN = 0x40; // CTRL_REG4
const HIGH_RESOLUTION = 0x08; // CTRL_REG4: 12 bits, else 10
const FIFO_EN = 0x40; // CTRL_REG5
const BOOT = 0x80; // CTRL_REG5, clears itself
const NEW_DATA = 0x0f;
const OVERRUN_DATA = 0xf0;
const MODE_FIFO = 1; // stops when full
const WATERMARK = 0x80;
const OVERRUN = 0x40;
const EMPTY = 0x20;

/** ODR[3:0] of CTRL_REG1 -> Hz; 9 depends on the power mode. */
const RATES = [0, 1, 10, 25, 50, 100, 200, 400, 1600];
const RATE_9 = { normal: 1344, lowPower: 5376 };

const LAYOUT = { address: 0x18, channels: 3, who: WHO_AM_I, defaultHz: 50 };

export class Lis3dh extends FifoChip {
  constructor(board, bus, options) {
    super(board, bus, options, LAYOUT);
  }

  setDefaults() {
    this.registers[WHO_AM_I] = 0x33;
    this.registers[CTRL_REG1] = 0x07;
    this.increments = false;
  }

  clearFifo() {
    this.fifo = [];
  }

  get rateHz() {
    const code = this.registers[CTRL_REG1] >> 4;
    if (code === 9) {
      return this.registers[CTRL_REG1] & LOW_POWER ? RATE_9.lowPower : RATE_9.normal;
    }
    return RATES[code] ?? 0;
  }

  get mode() {
    return this.registers[CTRL_REG5] & FIFO_EN ? this.registers[FIFO_CTRL_REG] >> 6 : 0;
  }

  /** A row as the output registers hold it: left-justified, the bits below the resolution 0. */
  encode(row) {
    const control = this.registers[CTRL_REG4];
    const isLow = this.registers[CTRL_REG1] & LOW_POWER;
    const bits = isLow ? 8 : control & HIGH_RESOLUTION ? 12 : 10;
    const bytes = [];
    for (let axis = 0; axis < 3; axis++) {
      const isOn = this.registers[CTRL_REG1] & (1 << axis);
      const value = isOn ? this.value(row, axis) & (0xffff << (16 - bits)) : 0;
      const pair = [value & 0xff, (value >> 8) & 0xff];
      bytes.push(...(control & BIG_ENDIAN ? pair.reverse() : pair));
    }
    return bytes;
  }

  measured(row) {
    const bytes = this.encode(row);
    if (this.mode === 0) {
      this.registers[STATUS_REG] |= this.registers[STATUS_REG] & NEW_DATA ? OVERRUN_DATA : NEW_DATA;
      this.registers.set(bytes, OUT_X_L);
      return;
    }
    if (this.fifo.length === FIFO_ROWS) {
      if (this.mode === MODE_FIFO) {
        return;
      }
      this.fifo.shift(); // stream: the oldest is overwritten (5.1.3)
    }
    this.fifo.push(bytes);
  }

  select(value) {
    this.pointer = value & 0x7f;
    this.increments = !!(value & INCREMENT);
  }

  /** With the FIFO on, a burst goes round within the output registers. */
  following(at) {
    if (!this.increments) {
      return at;
    }
    return at === OUT_Z_H && this.mode !== 0 ? OUT_X_L : (at + 1) & 0x7f;
  }

  readRegister(at) {
    if (at === FIFO_SRC_REG) {
      return this.source();
    }
    if (at >= OUT_X_L && at <= OUT_Z_H) {
      return this.readOutput(at);
    }
    return this.registers[at];
  }

  readOutput(at) {
    if (this.mode !== 0) {
      // The oldest row stands in the output registers and goes with its last byte.
      this.registers.set(this.fifo[0] ?? [], OUT_X_L);
      if (at === OUT_Z_H) {
        this.fifo.shift();
      }
    } else if (at === OUT_Z_H) {
      this.registers[STATUS_REG] = 0;
    }
    return this.registers[at];
  }

  /** FIFO_SRC_REG; 32 rows read as 31 with OVRN_FIFO. */
  source() {
    const n = this.fifo.length;
    const threshold = this.registers[FIFO_CTRL_REG] & 0x1f;
    return (
      (n > threshold ? WATERMARK : 0) |
      (n === FIFO_ROWS ? OVERRUN : 0) |
      (n === 0 ? EMPTY : 0) |
      Math.min(n, FIFO_ROWS - 1)
    );
  }

  writeRegister(at, value) {
    const isReadOnly = (at >= STATUS_REG && at <= OUT_Z_H) || at === FIFO_SRC_REG || at === WHO_AM_I;
    if (isReadOnly || at > LAST_WRITABLE) {
      return;
    }
    const before = this.rateHz;
    this.registers[at] = at === CTRL_REG5 ? value & ~BOOT : value;
    if (this.mode === 0) {
      this.clearFifo(); // bypass empties it (5.1.1)
    } else if (this.startNanos === null) {
      this.startClock();
    }
    if (this.rateHz !== before) {
      this.rebase();
    }
  }
}
