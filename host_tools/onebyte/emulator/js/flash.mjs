/**
 * The flash chip behind the SSI, as the boot ROM's routines drive it: a W25Q16JV of 2 MiB.
 *
 * Programming clears bits and only an erase sets them. Both take the datasheet's typical times
 * (9.6). While the chip is busy the ROM asks for its status in a loop; that wait is skipped, so it
 * counts as time but not as executed cycles.
 */

import { Registers } from './registers.mjs';

export const FLASH_BYTES = 2 * 1024 * 1024;
const WINDOW_BYTES = 16 * 1024 * 1024;
const PAGE_BYTES = 256;
const PAGE_NANOS = 400_000;
const STATUS_NANOS = 10_000_000;
const BUSY = 1;
const WRITE_ENABLED = 2;
const QUAD_ENABLED = 2; // of status register 2
const JEDEC_ID = [0xef, 0x40, 0x15];
const UNIQUE_ID = [0xe6, 0x60, 0x58, 0x38, 0x83, 0x4f, 0x62, 0x2a];

/** Command -> bytes and typical time of an erase. */
const ERASES = new Map([
  [0x20, { bytes: 4096, nanos: 45e6 }],
  [0x52, { bytes: 32768, nanos: 120e6 }],
  [0xd8, { bytes: 65536, nanos: 150e6 }],
  [0x60, { bytes: FLASH_BYTES, nanos: 5e9 }],
  [0xc7, { bytes: FLASH_BYTES, nanos: 5e9 }],
]);

/** The chip at the other end of the SPI lines. */
export class FlashChip {
  /**
   * @param {Uint8Array} image its content, up to 2 MiB
   * @param {object} board gives the time and loses its power
   */
  constructor(image, board) {
    this.board = board;
    this.window = new Uint8Array(WINDOW_BYTES).fill(0xff);
    this.data = this.window.subarray(0, FLASH_BYTES);
    this.data.set(image);
    this.operations = { erases: 0, programs: 0 };
    this.cut = null; // {operation, share}: the supply fails during this operation from now on
    this.powerOn();
  }

  powerOn() {
    this.busyUntil = 0;
    this.isWriteEnabled = false;
    this.deselect();
  }

  deselect() {
    const { command, bytes } = this;
    this.command = null;
    this.bytes = [];
    if (command !== null && command !== undefined) {
      this.execute(command, bytes);
    }
  }

  /** One byte out, one byte in. */
  exchange(value) {
    if (this.command === null) {
      this.command = value;
      return 0xff;
    }
    const index = this.bytes.length;
    this.bytes.push(value);
    switch (this.command) {
      case 0x05:
        return this.status();
      case 0x35:
        return QUAD_ENABLED;
      case 0x9f:
        return JEDEC_ID[index % 3];
      case 0x4b:
        return index < 4 ? 0xff : UNIQUE_ID[(index - 4) % 8];
      case 0x03:
        return index < 3 ? 0xff : this.data[(this.address() + index - 3) % FLASH_BYTES];
      default:
        return 0xff;
    }
  }

  status() {
    const now = this.board.nowNanos();
    if (now < this.busyUntil) {
      this.board.skip(this.busyUntil - now);
      return BUSY | WRITE_ENABLED;
    }
    return this.isWriteEnabled ? WRITE_ENABLED : 0;
  }

  address() {
    const [high, middle, low] = this.bytes;
    return ((high << 16) | (middle << 8) | low) % FLASH_BYTES;
  }

  /** What a command does once the chip is deselected. */
  execute(command, bytes) {
    this.bytes = bytes;
    if (command === 0x06) {
      this.isWriteEnabled = true;
    } else if (this.isWriteEnabled) {
      if (command === 0x02 && bytes.length > 3) {
        this.change('programs', PAGE_NANOS, bytes.length - 3, (share) => this.program(share));
      } else if (ERASES.has(command)) {
        const { bytes: size, nanos } = ERASES.get(command);
        this.change('erases', nanos, size, (n) => this.erase(size, n));
      } else if (command === 0x01 || command === 0x31) {
        this.change('programs', STATUS_NANOS, 0, () => {});
      }
    }
    this.bytes = [];
  }

  /** `apply(n)` does the first n bytes of an operation; all, unless the supply fails in it. */
  change(kind, nanos, size, apply) {
    this.isWriteEnabled = false;
    this.operations[kind]++;
    this.busyUntil = this.board.nowNanos() + nanos;
    if (this.cut && --this.cut.operation < 0) {
      const { share } = this.cut;
      this.cut = null;
      apply(Math.floor(size * share));
      this.board.losePower();
    } else {
      apply(size);
    }
  }

  program(n) {
    const start = this.address();
    const page = start - (start % PAGE_BYTES);
    const written = this.bytes.slice(3).slice(-PAGE_BYTES);
    written.slice(0, n).forEach((value, i) => {
      this.data[page + ((start + i) % PAGE_BYTES)] &= value; // wraps within its page
    });
  }

  erase(size, n) {
    const start = size === FLASH_BYTES ? 0 : this.address() - (this.address() % size);
    this.data.fill(0xff, start, start + n);
  }
}

const SS_CTRL = 0x0c; // of IO_QSPI
const OUTOVER_LOW = 2;
const OUTOVER_HIGH = 3;

/** IO_QSPI, of which the ROM uses the override of the select line. */
class QspiPins extends Registers {
  constructor(chip) {
    super();
    this.chip = chip;
    this.isForced = false;
  }

  write(offset, value) {
    super.write(offset, value);
    if (offset === SS_CTRL) {
      const override = (value >> 8) & 3;
      this.isForced = override === OUTOVER_LOW;
      if (override === OUTOVER_HIGH || override === 0) {
        this.chip.deselect();
      }
    }
  }
}

const CTRLR0 = 0x00;
const SSIENR = 0x08;
const TXFLR = 0x20;
const RXFLR = 0x24;
const SR = 0x28;
const DR0 = 0x60;
const FRAME_FORMAT = 3 << 21; // 0: one line in, one line out
const TX_READY = 0x06;
const RX_READY = 0x08;

/** The SSI in its plain mode; in the others, which read for XIP, the memory map answers. */
class Ssi extends Registers {
  constructor(chip, pins) {
    super();
    this.chip = chip;
    this.pins = pins;
    this.received = [];
  }

  read(offset) {
    switch (offset) {
      case TXFLR:
        return 0;
      case RXFLR:
        return this.received.length;
      case SR:
        return TX_READY | (this.received.length ? RX_READY : 0);
      case DR0:
        return this.receive();
      default:
        return super.read(offset);
    }
  }

  receive() {
    const value = this.received.shift() ?? 0;
    if (!this.pins.isForced && this.received.length === 0) {
      this.chip.deselect(); // without the override the select line follows the FIFO
    }
    return value;
  }

  write(offset, value) {
    if (offset === DR0) {
      if (!(this.read(CTRLR0) & FRAME_FORMAT)) {
        this.received.push(this.chip.exchange(value & 0xff));
      }
      return;
    }
    super.write(offset, value);
    if (offset === SSIENR && !(value & 1)) {
      this.received = [];
    }
  }
}

const XIP_STAT = 0x08;
const XIP_READY = 0x03;

/** The control of the XIP cache, which is not modelled: always flushed and empty. */
class XipControl extends Registers {
  read(offset) {
    return offset === XIP_STAT ? XIP_READY : super.read(offset);
  }
}

/** Put a flash chip into a chip that starts. */
export function attachFlash(mcu, chip) {
  const { buffer } = chip.window;
  mcu.flash = chip.window;
  mcu.flash16 = new Uint16Array(buffer);
  mcu.flash32 = new Uint32Array(buffer);
  mcu.flashView = new DataView(buffer);
  const pins = new QspiPins(chip);
  mcu.peripherals[0x18000] = new Ssi(chip, pins);
  mcu.peripherals[0x40018] = pins;
  mcu.peripherals[0x14000] = new XipControl();
  chip.deselect();
}
