/**
 * Bytes between files of the PC and the chip's RAM, at an address that the chip does not use.
 *
 *   0x5F000000  address in RAM
 *   +4          length in bytes
 *   +8          offset in the input file
 *   +12         command, done within the write:
 *               1  copy from the input file to RAM
 *               2  append RAM to the output file
 *               3  note the number at +0 and the cycles
 *               4  end the run
 *   +16, +20    executed cycles, low and high word; reading the low one keeps the high one
 *   +24         bytes that the last copy moved; 0xFFFFFFFF after a refused one
 */

import fs from 'node:fs';

import { Registers } from './registers.mjs';

const PERIPHERAL = 0x5f000; // key of the package's table
const RAM = 0x20000000;
const ADDRESS = 0;
const LENGTH = 4;
const OFFSET = 8;
const COMMAND = 12;
const CYCLES_LOW = 16;
const CYCLES_HIGH = 20;
const MOVED = 24;
const REFUSED = 0xffffffff;
const TWO_32 = 2 ** 32;

export class Mailbox extends Registers {
  /** @param {object} board  @param {{input?: string, output?: string}} paths */
  constructor(board, paths) {
    super();
    this.board = board;
    this.input = paths.input ? fs.readFileSync(paths.input) : Buffer.alloc(0);
    this.output = paths.output ?? null;
    if (this.output) {
      fs.writeFileSync(this.output, '');
    }
    this.marks = [];
    board.onBoot((mcu) => {
      mcu.peripherals[PERIPHERAL] = this;
    });
  }

  read(offset) {
    if (offset === CYCLES_LOW) {
      const { cycles } = this.board;
      super.write(CYCLES_HIGH, Math.floor(cycles / TWO_32));
      return cycles % TWO_32;
    }
    return super.read(offset);
  }

  write(offset, value) {
    super.write(offset, value);
    if (offset === COMMAND) {
      super.write(MOVED, this.execute(value));
    }
  }

  execute(command) {
    const [address, length] = [this.read(ADDRESS), this.read(LENGTH)];
    const start = address - RAM;
    const { sram } = this.board.mcu;
    const isInRam = start >= 0 && start + length <= sram.length;
    switch (command) {
      case 1: {
        const offset = this.read(OFFSET);
        const part = this.input.subarray(offset, offset + length);
        if (!isInRam || part.length !== length) {
          return REFUSED;
        }
        sram.set(part, start);
        return length;
      }
      case 2:
        if (!isInRam || !this.output) {
          return REFUSED;
        }
        fs.appendFileSync(this.output, sram.subarray(start, start + length));
        return length;
      case 3:
        this.marks.push([address, this.board.cycles, this.board.nowNanos()]);
        return 0;
      case 4:
        this.board.stop();
        return 0;
      default:
        return REFUSED;
    }
  }
}
