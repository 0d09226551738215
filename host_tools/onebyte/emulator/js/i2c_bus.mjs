/**
 * An I2C bus: the chip's controller (data sheet 4.3), its two lines, and the devices on them.
 *
 * Takes the place of the package's controller, in which a transfer takes no time, a disable in the
 * middle of one never ends, and nobody can hold a line. Addresses of 7 bits, controller only.
 */

import { Registers } from './registers.mjs';

const CON = 0x00;
const TAR = 0x04;
const DATA_CMD = 0x10;
const SS_HIGH = 0x14;
const SS_LOW = 0x18;
const FS_HIGH = 0x1c;
const FS_LOW = 0x20;
const INTR_STAT = 0x2c;
const INTR_MASK = 0x30;
const RAW_INTR_STAT = 0x34;
const RX_TL = 0x38;
const TX_TL = 0x3c;
const CLR_INTR = 0x40;
const CLR_TX_ABRT = 0x54;
const ENABLE = 0x6c;
const STATUS = 0x70;
const TXFLR = 0x74;
const RXFLR = 0x78;
const TX_ABRT_SOURCE = 0x80;
const ENABLE_STATUS = 0x9c;

/** Register that clears an interrupt when it is read -> bit of the interrupt. */
const CLEARS = new Map([
  [0x44, 1 << 0],
  [0x48, 1 << 1],
  [0x4c, 1 << 3],
  [0x50, 1 << 5],
  [CLR_TX_ABRT, 1 << 6],
  [0x58, 1 << 7],
  [0x5c, 1 << 8],
  [0x60, 1 << 9],
  [0x64, 1 << 10],
  [0x68, 1 << 11],
  [0xa8, 1 << 12],
]);

const RX_UNDER = 1 << 0;
const RX_OVER = 1 << 1;
const RX_FULL = 1 << 2;
const TX_OVER = 1 << 3;
const TX_EMPTY = 1 << 4;
const TX_ABRT = 1 << 6;
const ACTIVITY = 1 << 8;
const STOP_DET = 1 << 9;
const START_DET = 1 << 10;

const READ = 1 << 8;
const STOP = 1 << 9;
const RESTART = 1 << 10;
const FIFO_ENTRIES = 16;
const EMPTY_WHEN_SENT = 1 << 8; // CON: TX_EMPTY_CTRL
const SPEED_STANDARD = 1;
const ABRT_ADDRESS = 1 << 0;
const ABRT_DATA = 1 << 3;
const ABRT_USER = 1 << 16;
const ABORT = 1 << 1;

const BYTE_BITS = 9;
const START_BITS = 1;
const STOP_BITS = 1;

/** The controller of one bus. */
export class I2cController extends Registers {
  constructor(mcu, irq, clock, bus) {
    super();
    Object.assign(this, { mcu, irq, bus });
    this.alarm = clock.createAlarm(() => this.next());
    this.next = null; // what happens when the bits on the lines are through
    this.commands = [];
    this.received = [];
    this.latched = 0;
    this.abortSource = 0;
    this.device = null; // that acknowledged, while the bus is ours
    this.isReading = false;
    this.values = new Map([
      [CON, 0x65],
      [TAR, 0x55],
      [SS_HIGH, 0x28],
      [SS_LOW, 0x2f],
      [FS_HIGH, 0x06],
      [FS_LOW, 0x0d],
      [INTR_MASK, 0x8ff],
    ]);
  }

  get isEnabled() {
    return !!(this.values.get(ENABLE) & 1);
  }

  get isBusy() {
    return this.next !== null;
  }

  /** Time of so many bits at the speed that is set. */
  bitNanos(bits) {
    const isStandard = ((super.read(CON) >> 1) & 3) === SPEED_STANDARD;
    const [high, low] = isStandard ? [SS_HIGH, SS_LOW] : [FS_HIGH, FS_LOW];
    return (bits * (super.read(high) + super.read(low)) * 1e9) / this.mcu.clkSys;
  }

  after(bits, next) {
    this.next = () => {
      this.next = null;
      next();
    };
    this.alarm.schedule(this.bitNanos(bits));
  }

  /** Begin what the oldest command wants, unless something is under way. */
  step() {
    if (this.isBusy || !this.isEnabled || this.commands.length === 0) {
      this.update();
      return;
    }
    const command = this.commands[0];
    const isReading = !!(command & READ);
    if (this.device === null || this.isReading !== isReading || (command & RESTART && !this.fresh)) {
      this.start(isReading);
    } else {
      this.fresh = false;
      this.commands.shift();
      this.after(BYTE_BITS, () => this.finish(command));
    }
    this.update();
  }

  start(isReading) {
    if (this.device === null && this.bus.isHeld) {
      this.bus.onRelease = () => this.step(); // no start while another holds the data line
      return;
    }
    this.after(START_BITS + BYTE_BITS, () => {
      this.latched |= START_DET | ACTIVITY;
      this.device?.stop();
      this.device = this.bus.find(super.read(TAR) & 0x7f, isReading);
      this.isReading = isReading;
      this.fresh = true; // its RESTART is done
      if (this.device) {
        this.step();
      } else {
        this.abort(ABRT_ADDRESS);
      }
    });
  }

  finish(command) {
    let isAcknowledged = true;
    if (command & READ) {
      this.receive(this.device.read());
    } else {
      isAcknowledged = this.device.write(command & 0xff);
    }
    if (!isAcknowledged) {
      this.abort(ABRT_DATA);
    } else if (command & STOP) {
      this.stop();
    } else {
      this.step();
    }
  }

  receive(value) {
    if (this.received.length < FIFO_ENTRIES) {
      this.received.push(value & 0xff);
    } else {
      this.latched |= RX_OVER;
    }
  }

  stop() {
    this.after(STOP_BITS, () => {
      this.device?.stop();
      this.device = null;
      this.latched |= STOP_DET;
      this.step();
    });
    this.update();
  }

  abort(reason) {
    this.abortSource |= reason | (this.commands.length << 23);
    this.commands = [];
    this.latched |= TX_ABRT;
    this.stop();
  }

  get raw() {
    const waits = super.read(CON) & EMPTY_WHEN_SENT && this.isBusy;
    const isEmpty = this.isEnabled && this.commands.length <= super.read(TX_TL) && !waits;
    const isFull = this.received.length > super.read(RX_TL);
    return this.latched | (isEmpty ? TX_EMPTY : 0) | (isFull ? RX_FULL : 0);
  }

  update() {
    this.mcu.setInterrupt(this.irq, !!(this.raw & super.read(INTR_MASK)));
  }

  read(offset) {
    if (CLEARS.has(offset)) {
      return this.clear(CLEARS.get(offset));
    }
    switch (offset) {
      case DATA_CMD:
        return this.take();
      case INTR_STAT:
        return this.raw & super.read(INTR_MASK);
      case RAW_INTR_STAT:
        return this.raw;
      case CLR_INTR:
        return this.clear(0x1fff);
      case STATUS:
        return this.status();
      case TXFLR:
        return this.commands.length;
      case RXFLR:
        return this.received.length;
      case TX_ABRT_SOURCE:
        return this.abortSource;
      case ENABLE_STATUS:
        return this.isEnabled ? 1 : 0;
      default:
        return super.read(offset);
    }
  }

  clear(bits) {
    const had = this.latched & bits ? 1 : 0;
    this.latched &= ~bits;
    if (bits & TX_ABRT) {
      this.abortSource = 0;
    }
    this.update();
    return had;
  }

  take() {
    if (this.received.length === 0) {
      this.latched |= RX_UNDER;
    }
    const value = this.received.shift() ?? 0;
    this.update();
    return value;
  }

  status() {
    const { length: nOut } = this.commands;
    const { length: nIn } = this.received;
    const isActive = this.isBusy || this.device !== null;
    return (
      (isActive ? 0x21 : 0) |
      (nOut < FIFO_ENTRIES ? 0x02 : 0) |
      (nOut === 0 ? 0x04 : 0) |
      (nIn > 0 ? 0x08 : 0) |
      (nIn === FIFO_ENTRIES ? 0x10 : 0)
    );
  }

  write(offset, value) {
    if (offset === DATA_CMD) {
      this.push(value);
    } else {
      super.write(offset, value);
      if (offset === ENABLE) {
        this.enable(value);
      }
    }
    this.update();
  }

  push(command) {
    if (this.commands.length === FIFO_ENTRIES) {
      this.latched |= TX_OVER;
    } else if (this.isEnabled && !(this.latched & TX_ABRT)) {
      this.commands.push(command);
      this.step();
    }
  }

  enable(value) {
    if (value & ABORT) {
      super.write(ENABLE, value & ~ABORT);
      this.abort(ABRT_USER);
    }
    if (!(value & 1)) {
      this.commands = [];
      this.received = [];
      this.bus.onRelease = () => {};
      // Between two bytes the bus stays ours: a change of TAR within a transfer needs that.
      if (this.isBusy) {
        this.alarm.cancel();
        this.next = null;
        this.device?.stop();
        this.device = null;
      }
    }
  }
}
