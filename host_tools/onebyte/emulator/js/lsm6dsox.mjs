/**
 * LSM6DSOX after ST's datasheet DS12814: accelerometer, gyroscope, and a FIFO of tagged words.
 *
 * Of the FIFO's sources the two sensors are there, without compression. The gyroscope's first
 * sample comes `gyro_delay` time slots after the accelerometer's, since it needs longer to start.
 */

import { FifoChip } from './fifo_chip.mjs';

const FIFO_CTRL1 = 0x07;
const FIFO_CTRL2 = 0x08;
const FIFO_CTRL3 = 0x09;
const FIFO_CTRL4 = 0x0a;
const WHO_AM_I = 0x0f;
const CTRL1_XL = 0x10;
const CTRL2_G = 0x11;
const CTRL3_C = 0x12;
const STATUS_REG = 0x1e;
const OUTX_L_G = 0x22;
const OUTX_L_A = 0x28;
const LAST_OUT = 0x2d;
const FIFO_STATUS1 = 0x3a;
const FIFO_STATUS2 = 0x3b;
const DATA_TAG = 0x78;
const DATA_LAST = 0x7e;

const FIFO_WORDS = 512;
const SW_RESET = 0x01;
const IF_INC = 0x04;
const RESET_NANOS = 50_000;
const STOP_ON_WTM = 0x80; // FIFO_CTRL2
const MODE_BYPASS = 0;
const MODE_FIFO = 1; // stops when full
const TAG_GYRO = 0x01;
const TAG_ACCEL = 0x02;
const EMPTY_WORD = [0, 0, 0, 0, 0, 0, 0];
const GYRO_DELAY = 2;

/** ODR and batch rate codes 1 to 10 -> Hz; 11 is a rate of its own that is not modelled. */
const RATES = [0, 12.5, 26, 52, 104, 208, 416, 833, 1667, 3333, 6667];

const LAYOUT = { address: 0x6a, channels: 6, who: WHO_AM_I, defaultHz: 50 };

function isOdd(value) {
  let bits = value;
  bits ^= bits >> 4;
  bits ^= bits >> 2;
  bits ^= bits >> 1;
  return bits & 1;
}

export class Lsm6dsox extends FifoChip {
  constructor(board, bus, options) {
    super(board, bus, options, LAYOUT);
  }

  setDefaults() {
    this.registers[WHO_AM_I] = 0x6c;
    this.registers[CTRL3_C] = IF_INC;
    this.resetUntil = 0;
    this.gyroWaits = 0;
  }

  clearFifo() {
    this.fifo = [];
    this.slot = 0;
    this.overran = false;
    this.latchedOverrun = false;
  }

  get accelHz() {
    return RATES[this.registers[CTRL1_XL] >> 4] ?? 0;
  }

  get gyroHz() {
    return RATES[this.registers[CTRL2_G] >> 4] ?? 0;
  }

  /** A time slot lasts as long as a sample of the faster sensor. */
  get rateHz() {
    return Math.max(this.accelHz, this.gyroHz);
  }

  get mode() {
    return this.registers[FIFO_CTRL4] & 7;
  }

  measured(row) {
    const every = (hz, code) => hz > 0 && RATES[code] > 0 && row % Math.round(this.rateHz / hz) === 0;
    const gyroBytes = this.bytes(row, 3);
    const accelBytes = this.bytes(row, 0);
    const gyroRuns = this.gyroHz > 0 && this.gyroWaits === 0;
    this.gyroWaits = Math.max(0, this.gyroWaits - 1);
    if (gyroRuns) {
      this.registers.set(gyroBytes, OUTX_L_G);
    }
    if (this.accelHz > 0) {
      this.registers.set(accelBytes, OUTX_L_A);
    }
    this.registers[STATUS_REG] = (this.accelHz > 0 ? 1 : 0) | (gyroRuns ? 2 : 0);
    if (this.mode === MODE_BYPASS) {
      return;
    }
    const batch = this.registers[FIFO_CTRL3];
    this.slot = (this.slot + 1) & 3;
    if (gyroRuns && every(RATES[batch >> 4], batch >> 4)) {
      this.push(TAG_GYRO, gyroBytes);
    }
    if (this.accelHz > 0 && every(RATES[batch & 15], batch & 15)) {
      this.push(TAG_ACCEL, accelBytes);
    }
  }

  bytes(row, first) {
    return [0, 1, 2].flatMap((i) => {
      const value = this.value(row, first + i);
      return [value & 0xff, (value >> 8) & 0xff];
    });
  }

  get depth() {
    const { registers } = this;
    const watermark = registers[FIFO_CTRL1] | ((registers[FIFO_CTRL2] & 1) << 8);
    return registers[FIFO_CTRL2] & STOP_ON_WTM && watermark ? watermark : FIFO_WORDS;
  }

  /** A word: tag of sensor, time slot and parity over the eight bits, then the data (9.95). */
  push(sensor, bytes) {
    if (this.fifo.length >= this.depth) {
      this.overran = true;
      this.latchedOverrun = true;
      if (this.mode === MODE_FIFO) {
        return;
      }
      this.fifo.shift();
    }
    const tag = (sensor << 3) | (this.slot << 1);
    this.fifo.push([tag | isOdd(tag), ...bytes]);
  }

  following(at) {
    if (!(this.registers[CTRL3_C] & IF_INC)) {
      return at;
    }
    return at === DATA_LAST ? DATA_TAG : (at + 1) & 0x7f;
  }

  readRegister(at) {
    if (at >= DATA_TAG && at <= DATA_LAST) {
      const word = this.fifo[0] ?? EMPTY_WORD;
      if (at === DATA_LAST) {
        this.fifo.shift(); // a word goes with its last byte
        this.overran = false;
      }
      return word[at - DATA_TAG];
    }
    switch (at) {
      case FIFO_STATUS1:
        return this.fifo.length & 0xff;
      case FIFO_STATUS2:
        return this.status();
      case CTRL3_C:
        return this.registers[at] | (this.board.nowNanos() < this.resetUntil ? SW_RESET : 0);
      default:
        return this.registers[at];
    }
  }

  status() {
    const n = this.fifo.length;
    const { registers } = this;
    const watermark = registers[FIFO_CTRL1] | ((registers[FIFO_CTRL2] & 1) << 8);
    const isFull = n >= this.depth;
    const value =
      (watermark && n >= watermark ? 0x80 : 0) |
      (isFull && this.overran ? 0x40 : 0) |
      (n + 2 >= this.depth ? 0x20 : 0) |
      (this.latchedOverrun ? 0x08 : 0) |
      (n >> 8);
    this.latchedOverrun = false; // reading it resets the latch
    return value;
  }

  writeRegister(at, value) {
    const isReadOnly =
      at === WHO_AM_I ||
      (at >= STATUS_REG && at <= LAST_OUT) ||
      (at >= FIFO_STATUS1 && at <= FIFO_STATUS2) ||
      at >= DATA_TAG;
    if (isReadOnly) {
      return;
    }
    if (at === CTRL3_C && value & SW_RESET) {
      this.reset();
      this.resetUntil = this.board.nowNanos() + RESET_NANOS;
      return;
    }
    const [before, gyroBefore] = [this.rateHz, this.gyroHz];
    this.registers[at] = value;
    this.changed(at, before, gyroBefore);
  }

  changed(at, rateBefore, gyroBefore) {
    if (gyroBefore === 0 && this.gyroHz > 0) {
      this.gyroWaits = this.knobs.gyro_delay ?? GYRO_DELAY;
    }
    if (at === FIFO_CTRL4) {
      if (this.mode === MODE_BYPASS) {
        this.clearFifo();
      } else if (this.startNanos === null) {
        this.startClock();
      }
    }
    if (this.rateHz !== rateBefore) {
      this.rebase();
    }
  }
}
