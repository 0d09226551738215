/**
 * Holds emulated time back while the host owes the guest an answer.
 *
 * A guest that waits sleeps, and sleep is skipped: five emulated seconds of a network deadline would
 * be over before a broker on this machine has had a microsecond. So from the moment when the guest
 * sends something to the host until an answer comes, emulated time passes no faster than wall time
 * times a factor. When nothing is outstanding, the emulator runs free and does not look at the wall
 * clock. Some things are never answered; after `graceMs` of wall time nobody waits for them.
 *
 * A program at the serial port waits as well, see WallPacer.
 */

const TURN_MS = 1;
const PAUSE_MS = 2;
/**
 * The longest wall time that counts for a turn. More means that this process stood still: the PC
 * was busy or slept. What came meanwhile is in a socket at which nobody has looked yet.
 */
const LONGEST_MS = 20;
/** Emulated time may lag as far behind, and be caught up, times the speed. */
const CREDIT_MS = 20;

/** What has to be held back, and how far time may go on. */
export class Pacer {
  /**
   * @param nowNanos returns the emulated time.
   * @param options `{factor, graceMs}`: emulated seconds per second of wall time while an answer is
   *   outstanding, and how long one is waited for.
   * @param wallMs returns the wall time; tests pass their own.
   */
  constructor(nowNanos, { factor, graceMs }, wallMs = () => performance.now()) {
    this._nowNanos = nowNanos;
    this._factor = factor;
    this._graceMs = graceMs;
    this._wallMs = wallMs;
    this._outstanding = new Map();
    this._waitedMs = 0; // with somebody outstanding: what all turns have counted
    this._lastMs = 0;
    this._untilNanos = 0;
    this._wake = () => {};
    /** Wall time in which emulated time was held back, in ms. */
    this.heldMs = 0;
  }

  /** Whether time is held back. */
  get isHolding() {
    return this._outstanding.size > 0;
  }

  /** The guest has asked the host for something: a connection, an answer, an end. */
  asked(key) {
    const now = this._wallMs();
    if (!this.isHolding) {
      this._lastMs = now;
      this._untilNanos = this._nowNanos();
    }
    this._outstanding.set(key, this._waitedMs + this._graceMs);
  }

  /** The host has answered, or will not. */
  settled(key) {
    this._outstanding.delete(key);
    this._wake();
  }

  /**
   * Return how much of an idle time may be skipped now, in nanoseconds.
   *
   * What a turn has granted is used up before the next one, so that sockets are looked at between.
   */
  allow(nanos) {
    if (!this.isHolding) return nanos;
    return Math.min(nanos, Math.max(0, this._untilNanos - this._nowNanos()));
  }

  /** Let the sockets do what is due; grant what has passed of the wall time. */
  async turn() {
    if (this.isHolding && this._nowNanos() >= this._untilNanos) await this._pause();
    else await new Promise((resolve) => setImmediate(resolve));
    if (!this.isHolding) return;
    const now = this._wallMs();
    const counted = Math.min(now - this._lastMs, LONGEST_MS);
    this._waitedMs += counted;
    this.heldMs += now - this._lastMs;
    this._lastMs = now;
    for (const [key, deadline] of this._outstanding) {
      if (deadline <= this._waitedMs) this._outstanding.delete(key);
    }
    // From now on, not from where it was held: a slow emulator gains no credit.
    this._untilNanos = this._nowNanos() + counted * 1e6 * this._factor;
  }

  _pause() {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, TURN_MS);
      this._wake = () => {
        clearTimeout(timer);
        // After the sockets' other events of this round.
        setImmediate(resolve);
      };
    });
  }
}

/**
 * Lets sleep last as long by the wall clock, or `speed` times shorter; see `Board.pacer`.
 *
 * What the chip executes takes its time anyway, mostly longer than on a real one. That is not made
 * up for by a shorter sleep: for the program at the other end it would be a board that gives up
 * after a moment instead of seconds.
 */
export class WallPacer {
  /**
   * @param {object} board whose sleep it is
   * @param {number} speed emulated seconds in a second of sleep, at most
   * @param {object|null} modem the pacer of the modem, which may hold time as well
   * @param {Function} wallMs returns the wall time; tests pass their own
   */
  constructor(board, speed, modem, wallMs = () => performance.now()) {
    Object.assign(this, { board, speed, modem, wallMs });
    this.lastMs = wallMs();
    this.untilNanos = board.nowNanos();
    this.isHolding = false;
    this.wake = () => {};
  }

  allow(nanos) {
    const granted = this.untilNanos - this.board.nowNanos();
    this.isHolding = granted < nanos;
    const mine = Math.max(0, Math.min(nanos, granted));
    return this.modem ? this.modem.allow(mine) : mine;
  }

  /** Serve the sockets; while time is held, wait a little. */
  async turn() {
    if (this.isHolding) {
      await new Promise((resolve) => {
        this.wake = resolve;
        setTimeout(resolve, PAUSE_MS);
      });
    } else {
      await new Promise((resolve) => setImmediate(resolve));
    }
    await this.modem?.turn();
    this.isHolding = false;
    const now = this.wallMs();
    const until = this.untilNanos + (now - this.lastMs) * 1e6 * this.speed;
    this.lastMs = now;
    this.untilNanos = Math.min(until, this.board.nowNanos() + CREDIT_MS * 1e6 * this.speed);
  }
}
