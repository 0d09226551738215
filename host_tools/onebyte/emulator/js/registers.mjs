/** Base of the peripherals that the package lacks: registers with the chip's atomic aliases. */
export class Registers {
  constructor() {
    this.values = new Map();
  }

  /** Value of the register at an offset; what was never written reads as 0. */
  read(offset) {
    return this.values.get(offset) ?? 0;
  }

  write(offset, value) {
    this.values.set(offset, value >>> 0);
  }

  readUint32(offset) {
    return this.read(offset & 0xfff) >>> 0;
  }

  writeUint32(offset, value) {
    this.write(offset & 0xfff, value >>> 0);
  }

  /** 0 writes, 1 flips, 2 sets and 3 clears the bits of `value`. */
  writeUint32Atomic(offset, value, kind) {
    const now = kind === 0 ? 0 : this.readUint32(offset);
    const wanted = [value, now ^ value, now | value, now & ~value][kind];
    this.writeUint32(offset, wanted);
  }
}
