/** The chip's memory map with the short ways first, strict about what the chip refuses. */

const RAM = 0x20000000;
const RAM_BYTES = 264 * 1024;
const ROM_BYTES = 16 * 1024;
const FLASH_PAGE = 0x10; // address >>> 24; 0x11 to 0x13 are the same flash, uncached
const FLASH_MASK = 0xffffff;

/** A program did what makes the chip raise a HardFault. */
export class Fault extends Error {}

function hex(value) {
  return `0x${(value >>> 0).toString(16)}`;
}

function faultAt(mcu, what, address) {
  return new Fault(`${what} at ${hex(address)}, PC ${hex(mcu.core.PC - 2)}`);
}

function readers(RP2040) {
  const { readUint32: read32, readUint16: read16, readUint8: read8 } = RP2040.prototype;
  return {
    /** The halfword of an instruction. */
    fetch(address) {
      if (address >>> 24 === FLASH_PAGE) {
        return this.flash16[(address & FLASH_MASK) >> 1];
      }
      const offset = address - RAM;
      if (offset >= 0 && offset < RAM_BYTES) {
        return this.sram16[offset >> 1];
      }
      if (address >= 0 && address < ROM_BYTES) {
        return this.bootrom16[address >> 1];
      }
      throw new Fault(`program counter left the memory: ${hex(address)}, LR ${hex(this.core.LR)}`);
    },
    readUint32(address) {
      const at = address >>> 0;
      if (at & 3) {
        throw faultAt(this, 'unaligned read of a word', at);
      }
      const offset = at - RAM;
      if (offset >= 0 && offset < RAM_BYTES) {
        return this.sram32[offset >> 2];
      }
      if (at >>> 24 === FLASH_PAGE) {
        return this.flash32[(at & FLASH_MASK) >> 2];
      }
      return read32.call(this, at);
    },
    readUint16(address) {
      const at = address >>> 0;
      if (at & 1) {
        throw faultAt(this, 'unaligned read of a halfword', at);
      }
      const offset = at - RAM;
      if (offset >= 0 && offset < RAM_BYTES) {
        return this.sram16[offset >> 1];
      }
      return read16.call(this, at);
    },
    readUint8(address) {
      const offset = (address >>> 0) - RAM;
      if (offset >= 0 && offset < RAM_BYTES) {
        return this.sram[offset];
      }
      return read8.call(this, address >>> 0);
    },
  };
}

function writers(RP2040) {
  const { writeUint32: write32, writeUint16: write16, writeUint8: write8 } = RP2040.prototype;
  // Neither ROM nor the window of the flash takes a write; the chip drops it.
  const isReadOnly = (at) => at >>> 26 === 4 || at < ROM_BYTES;
  return {
    writeUint32(address, value) {
      const at = address >>> 0;
      if (at & 3) {
        throw faultAt(this, 'unaligned write of a word', at);
      }
      const offset = at - RAM;
      if (offset >= 0 && offset < RAM_BYTES) {
        this.sram32[offset >> 2] = value;
      } else if (!isReadOnly(at)) {
        write32.call(this, at, value);
      }
    },
    writeUint16(address, value) {
      const at = address >>> 0;
      if (at & 1) {
        throw faultAt(this, 'unaligned write of a halfword', at);
      }
      const offset = at - RAM;
      if (offset >= 0 && offset < RAM_BYTES) {
        this.sram16[offset >> 1] = value;
      } else if (!isReadOnly(at)) {
        write16.call(this, at, value);
      }
    },
    writeUint8(address, value) {
      const at = address >>> 0;
      const offset = at - RAM;
      if (offset >= 0 && offset < RAM_BYTES) {
        this.sram[offset] = value;
      } else if (!isReadOnly(at)) {
        write8.call(this, at, value);
      }
    },
  };
}

/**
 * Replace the memory functions of the package's chip.
 *
 * @param {Function} RP2040 the package's class
 */
export function installMemory(RP2040) {
  Object.assign(RP2040.prototype, readers(RP2040), writers(RP2040));
}

/** Give one chip the views that the functions above use, and its bootrom. */
export function addViews(mcu, bootrom) {
  mcu.bootrom.set(bootrom);
  mcu.bootrom16 = new Uint16Array(mcu.bootrom.buffer);
  mcu.flash32 = new Uint32Array(mcu.flash.buffer);
  mcu.sram16 = new Uint16Array(mcu.sram.buffer);
  mcu.sram32 = new Uint32Array(mcu.sram.buffer);
}
