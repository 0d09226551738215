/**
 * MPU-6050 after InvenSense's register map RM-MPU-6000A-00 4.2 and product specification 3.4.
 *
 * Its FIFO is 1024 bytes that know no rows; a full one loses its oldest bytes (4.16, 4.31).
 */

import { FifoChip } from './fifo_chip.mjs';

const SMPLRT_DIV = 0x19;
const CONFIG = 0x1a;
const FIFO_EN = 0x23;
const INT_PIN_CFG = 0x37;
const INT_ENABLE = 0x38;
const INT_STATUS = 0x3a;
const FIRST_DATA = 0x3b; // ACCEL_XOUT_H
const LAST_DATA = 0x48; // GYRO_ZOUT_L
const SIGNAL_PATH_RESET = 0x68;
const USER_CTRL = 0x6a;
const PWR_MGMT_1 = 0x6b;
const FIFO_COUNTH = 0x72;
const FIFO_COUNTL = 0x73;
const FIFO_R_W = 0x74;
const WHO_AM_I = 0x75;

const FIFO_BYTES = 1024;
const OVERFLOW = 0x10;
const DATA_READY = 0x01;
const CLEAR_ON_ANY_READ = 0x10;
const DEVICE_RESET = 0x80;
const SLEEP = 0x40;
const FIFO_ON = 0x40;
const FIFO_RESET = 0x04;
const SELF_CLEARING = 0x07; // of USER_CTRL: FIFO, I2C controller and signal path
/** Temperature that stands in the data registers: (36.53 - 35) * 340 counts would be 36.53 C. */
const TEMPERATURE = -521;

/** In the order in which a row goes to the FIFO: bit of FIFO_EN, offset and length in the data. */
const PARTS = [
  [0x08, 0, 6],
  [0x80, 6, 2],
  [0x40, 8, 2],
  [0x20, 10, 2],
  [0x10, 12, 2],
];

const LAYOUT = { address: 0x68, channels: 6, who: WHO_AM_I, defaultHz: 50 };

export class Mpu6050 extends FifoChip {
  constructor(board, bus, options) {
    super(board, bus, options, LAYOUT);
  }

  setDefaults() {
    this.registers[PWR_MGMT_1] = SLEEP;
    this.registers[WHO_AM_I] = 0x68;
  }

  clearFifo() {
    this.fifo = new Uint8Array(FIFO_BYTES);
    this.start = 0;
    this.count = 0;
    this.lastByte = 0;
    this.latchedLow = 0;
  }

  /** 8 kHz without a filter, 1 kHz with one, over 1 + SMPLRT_DIV (4.2); 0 while asleep. */
  get rateHz() {
    const filter = this.registers[CONFIG] & 7;
    const base = filter === 0 || filter === 7 ? 8000 : 1000;
    return this.registers[PWR_MGMT_1] & SLEEP ? 0 : base / (1 + this.registers[SMPLRT_DIV]);
  }

  measured(row) {
    const data = this.registers.subarray(FIRST_DATA, LAST_DATA + 1);
    const words = [0, 1, 2].map((i) => this.value(row, i));
    words.push(TEMPERATURE, ...[3, 4, 5].map((i) => this.value(row, i)));
    words.forEach((word, i) => {
      data[2 * i] = (word >> 8) & 0xff;
      data[2 * i + 1] = word & 0xff;
    });
    this.raise(DATA_READY);
    if (this.registers[USER_CTRL] & FIFO_ON) {
      for (const [bit, at, length] of PARTS) {
        if (this.registers[FIFO_EN] & bit) {
          data.subarray(at, at + length).forEach((byte) => this.push(byte));
        }
      }
    }
  }

  push(byte) {
    if (this.count === FIFO_BYTES) {
      this.start = (this.start + 1) % FIFO_BYTES;
      this.count--;
      this.raise(OVERFLOW);
    }
    this.fifo[(this.start + this.count) % FIFO_BYTES] = byte;
    this.count++;
  }

  /** A bit of INT_STATUS stands for a generated interrupt, which must be enabled (4.15, 4.16). */
  raise(bit) {
    this.registers[INT_STATUS] |= this.registers[INT_ENABLE] & bit;
  }

  /** The pointer stays at FIFO_R_W, so that a burst empties the FIFO. */
  following(at) {
    return at === FIFO_R_W ? at : (at + 1) & 0x7f;
  }

  readRegister(at) {
    let value = this.registers[at];
    if (at === FIFO_R_W) {
      value = this.pop();
    } else if (at === FIFO_COUNTH) {
      this.latchedLow = this.count & 0xff; // both bytes are of one moment (4.30)
      value = this.count >> 8;
    } else if (at === FIFO_COUNTL) {
      value = this.latchedLow;
    }
    if (at === INT_STATUS || this.registers[INT_PIN_CFG] & CLEAR_ON_ANY_READ) {
      this.registers[INT_STATUS] = 0;
    }
    return value;
  }

  /** An empty FIFO gives its last byte again (4.31). */
  pop() {
    if (this.count > 0) {
      this.lastByte = this.fifo[this.start];
      this.start = (this.start + 1) % FIFO_BYTES;
      this.count--;
    }
    return this.lastByte;
  }

  writeRegister(at, value) {
    const isReadOnly =
      (at >= INT_STATUS && at <= LAST_DATA) || (at >= FIFO_COUNTH && at <= FIFO_COUNTL);
    if (isReadOnly || at === WHO_AM_I || at === SIGNAL_PATH_RESET) {
      return;
    }
    const before = this.rateHz;
    if (at === FIFO_R_W) {
      this.push(value);
    } else if (at === PWR_MGMT_1 && value & DEVICE_RESET) {
      this.reset();
    } else if (at === USER_CTRL) {
      this.control(value);
    } else {
      this.registers[at] = value;
    }
    if (this.rateHz !== before) {
      this.rebase();
    }
  }

  control(value) {
    const wasOn = this.registers[USER_CTRL] & FIFO_ON;
    if (value & FIFO_RESET && !(value & FIFO_ON)) {
      this.clearFifo(); // works while the FIFO is off (4.27)
    }
    this.registers[USER_CTRL] = value & ~SELF_CLEARING;
    if (value & FIFO_ON && !wasOn && this.startNanos === null) {
      this.startClock();
    }
  }
}
