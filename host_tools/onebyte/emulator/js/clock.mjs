/**
 * The emulated time, counted by the core's cycles; takes the place of rp2040js' SimulationClock.
 *
 * The package's clock is told after each instruction how much time went by. This one asks the core
 * when somebody wants to know, and tells the core when it must stop for the next alarm.
 */

const NANOS_PER_S = 1e9;

class Alarm {
  constructor(clock, callback) {
    this.clock = clock;
    this.callback = callback;
    this.next = null;
    this.nanos = 0;
    this.scheduled = false;
  }

  schedule(deltaNanos) {
    this.cancel();
    this.clock.linkAlarm(deltaNanos, this);
  }

  cancel() {
    if (this.scheduled) {
      this.clock.unlinkAlarm(this);
    }
  }
}

export class CycleClock {
  constructor(hz = 125e6) {
    this.core = null;
    this.nextAlarm = null;
    this.cycleNanos = NANOS_PER_S / hz;
    this.baseNanos = 0;
    this.baseCycles = 0;
    this.firing = null; // the alarm whose callback runs: for it, its own time is now
  }

  get nanos() {
    if (this.firing) {
      return this.firing.nanos;
    }
    return this.core ? this.baseNanos + (this.core.cycles - this.baseCycles) * this.cycleNanos : 0;
  }

  get micros() {
    return this.nanos / 1000;
  }

  /** Count the cycles of this core from now on. */
  attach(core) {
    this.core = core;
    this.baseCycles = core.cycles;
  }

  /** The system clock has another frequency from now on. */
  setFrequency(hz) {
    this.baseNanos = this.nanos;
    this.baseCycles = this.core ? this.core.cycles : 0;
    this.cycleNanos = NANOS_PER_S / hz;
    this.limitCore();
  }

  /** Let time go by while the core sleeps. */
  skip(nanos) {
    this.baseNanos += nanos;
  }

  createAlarm(callback) {
    return new Alarm(this, callback);
  }

  linkAlarm(deltaNanos, alarm) {
    alarm.nanos = this.nanos + deltaNanos;
    let before = null;
    let after = this.nextAlarm;
    while (after && after.nanos < alarm.nanos) {
      before = after;
      after = after.next;
    }
    alarm.next = after;
    alarm.scheduled = true;
    if (before) {
      before.next = alarm;
    } else {
      this.nextAlarm = alarm;
      this.limitCore();
    }
    return alarm;
  }

  unlinkAlarm(alarm) {
    let before = null;
    for (let item = this.nextAlarm; item; before = item, item = item.next) {
      if (item === alarm) {
        if (before) {
          before.next = item.next;
        } else {
          this.nextAlarm = item.next;
        }
        alarm.scheduled = false;
        return true;
      }
    }
    return false;
  }

  /** The count of cycles at which the next alarm is due. */
  get alarmCycles() {
    if (!this.nextAlarm) {
      return Infinity;
    }
    const delta = (this.nextAlarm.nanos - this.baseNanos) / this.cycleNanos;
    return this.baseCycles + Math.ceil(delta);
  }

  get nanosToNextAlarm() {
    return this.nextAlarm ? Math.max(0, this.nextAlarm.nanos - this.nanos) : Infinity;
  }

  /** An alarm set by the running instruction may be due before the core wanted to stop. */
  limitCore() {
    if (this.core && this.core.limit > this.alarmCycles) {
      this.core.limit = this.alarmCycles;
    }
  }

  /** Call the callbacks that are due, each at its own time. */
  fire() {
    // Half a cycle makes up for rounding where a cycle is no whole number of nanoseconds.
    const now = this.nanos + this.cycleNanos / 2;
    while (this.nextAlarm && this.nextAlarm.nanos <= now) {
      const alarm = this.nextAlarm;
      this.nextAlarm = alarm.next;
      alarm.scheduled = false;
      this.firing = alarm;
      try {
        alarm.callback();
      } finally {
        this.firing = null;
      }
    }
  }
}
