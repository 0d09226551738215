/**
 * What the emulated sensor chips share: registers behind a pointer, and a recording that goes by.
 *
 * The recording starts with the first sample after the chip's FIFO was switched on for the first
 * time, and from then on it goes by in emulated time like the world does: what the chip does not
 * store is lost. After its last row the chip measures nothing more.
 *
 * Knobs, all optional, which `set` changes while it runs:
 *   absent          nobody acknowledges
 *   unplugged_ms, plugged_ms   emulated times since power-on from which on it is away and back;
 *                   a chip that was away has lost its settings
 *   who_am_i        another value in that register
 *   rate_error      its oscillator runs faster by this share: 0.03 is 3 %
 *   holds_sda_ms    from this time on it holds SDA until nine clock pulses
 *   rows            another recording: it begins now, if the chip has measured already
 */

import fs from 'node:fs';

/** Base of a chip; `layout` names what differs. */
export class FifoChip {
  /**
   * @param {object} board gives the time
   * @param {object} bus to hold the data line of
   * @param {object} options knobs, `address`, and `rows`: a file of int16, little-endian
   * @param {{address: number, channels: number, who: number, defaultHz: number}} layout
   */
  constructor(board, bus, options, layout) {
    Object.assign(this, { board, bus, layout });
    this.knobs = { rate_error: 0, ...options };
    this.address = options.address ?? layout.address;
    this.load(options.rows);
    this.registers = new Uint8Array(256);
    this.startNanos = null; // of the recording
    this.produced = 0; // rows that have gone by
    this.worldHz = 0; // the rate at which they do: the last that was set
    this.reset();
    this.holdLater();
  }

  /** Take the rows of a file. */
  load(path) {
    const bytes = path ? fs.readFileSync(path) : Buffer.alloc(0);
    const copy = new Uint8Array(bytes).buffer; // aligned
    this.rows = new Int16Array(copy, 0, Math.floor(copy.byteLength / 2));
    this.nRows = Math.floor(this.rows.length / this.layout.channels);
  }

  /** Change knobs now. */
  set(knobs) {
    const keepsTime = knobs.rate_error === undefined;
    this.advance();
    Object.assign(this.knobs, knobs);
    if (knobs.rows !== undefined) {
      this.load(knobs.rows);
      this.produced = 0;
    }
    if (!keepsTime || knobs.rows !== undefined) {
      this.rebase();
    }
    if (knobs.holds_sda_ms !== undefined) {
      this.holdLater();
    }
  }

  holdLater() {
    const at = this.knobs.holds_sda_ms;
    if (at !== undefined && at !== null) {
      this.board.at(at * 1e6, () => this.bus.hold());
    }
  }

  /** The values after power-on; the chip's own part is `setDefaults`. */
  reset() {
    this.pointer = null;
    this.registers.fill(0);
    this.setDefaults();
    this.clearFifo();
  }

  /** Whether the chip has power at this moment. */
  get isThere() {
    const { absent, unplugged_ms: away, plugged_ms: back } = this.knobs;
    const ms = this.board.nowNanos() / 1e6;
    const isAway = away !== undefined && ms >= away && (back === undefined || ms < back);
    if (isAway) {
      this.wasAway = true;
    } else if (this.wasAway) {
      this.wasAway = false;
      this.advance();
      this.reset();
    }
    return !absent && !isAway;
  }

  /** The address byte; the answer is the acknowledge. */
  connect(address, isReading) {
    if (address !== this.address || !this.isThere) {
      return false;
    }
    if (!isReading) {
      this.pointer = null;
    }
    this.advance();
    return true;
  }

  stop() {}

  write(value) {
    if (!this.isThere) {
      return false;
    }
    this.advance();
    if (this.pointer === null) {
      this.select(value);
    } else {
      this.writeRegister(this.pointer, value);
      this.pointer = this.following(this.pointer);
    }
    return true;
  }

  read() {
    if (!this.isThere) {
      return 0xff; // nobody pulls the line down
    }
    this.advance();
    const at = this.pointer ?? 0;
    const { who } = this.layout;
    const isOther = at === who && this.knobs.who_am_i !== undefined;
    const value = isOther ? this.knobs.who_am_i : this.readRegister(at);
    this.pointer = this.following(at);
    return value;
  }

  /** The first byte that is written to the chip. */
  select(value) {
    this.pointer = value;
  }

  /** Start the recording's clock, if it does not run yet, or go on with another rate. */
  startClock() {
    if (this.startNanos === null) {
      this.startNanos = this.board.nowNanos();
      this.worldHz = this.rateHz || this.layout.defaultHz;
    }
    this.rebase();
  }

  rebase() {
    if (this.startNanos !== null) {
      this.firstRow = this.produced;
      this.startNanos = this.board.nowNanos();
    }
  }

  /** Store what was measured since the last look; what a chip at rest does not see goes by. */
  advance() {
    if (this.startNanos === null) {
      return;
    }
    const isMeasuring = this.rateHz > 0;
    if (isMeasuring) {
      this.worldHz = this.rateHz;
    }
    const sampleNanos = 1e9 / (this.worldHz * (1 + this.knobs.rate_error));
    const elapsed = this.board.nowNanos() - this.startNanos;
    const until = Math.min(this.nRows, this.firstRow + Math.floor(elapsed / sampleNanos));
    for (; this.produced < until; this.produced++) {
      if (isMeasuring) {
        this.measured(this.produced);
      }
    }
  }

  /** One channel of a row. */
  value(row, channel) {
    return row < this.nRows ? this.rows[row * this.layout.channels + channel] : 0;
  }
}
