/**
 * Holds emulated time back while the host owes the guest an answer.
 *
 * A guest that waits sleeps, and sleep is skipped: five emulated seconds of a network deadline would
 * be over before a broker on this machine has had a microsecond. So from the moment when the guest
 * sends something to the host until an answer comes, emulated time passes no faster than wall time
 * times a factor. When nothing is outstanding, the emulator runs free and does not look at the wall
 * clock. Some things are never answered; after `graceMs` of wall time nobody waits for them.
 */

const TURN_MS = 1;

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
    this._outstanding.set(key, now + this._graceMs);
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
    const now = this._wallMs();
    for (const [key, deadline] of this._outstanding) {
      if (deadline <= now) this._outstanding.delete(key);
    }
    if (!this.isHolding) return;
    // From now on, not from where it was held: a slow emulator gains no credit.
    this._untilNanos = this._nowNanos() + (now - this._lastMs) * 1e6 * this._factor;
    this.heldMs += now - this._lastMs;
    this._lastMs = now;
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
