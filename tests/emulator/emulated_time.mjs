/** A clock for tests with the interface of the emulator's: time passes when the test says so. */

export class EmulatedTime {
  constructor() {
    this.nanos = 0;
    this._alarms = [];
  }

  createAlarm(callback) {
    const time = this;
    return {
      scheduled: false,
      schedule(delta) {
        this.cancel();
        this.scheduled = true;
        this.nanos = time.nanos + delta;
        time._alarms.push(this);
      },
      cancel() {
        this.scheduled = false;
        time._alarms = time._alarms.filter((other) => other !== this);
      },
      fire() {
        this.cancel();
        callback();
      },
    };
  }

  /** Let time go by; the alarms go off in their order, each at its time. */
  pass(nanos) {
    const end = this.nanos + nanos;
    for (;;) {
      const due = this._alarms.filter((a) => a.nanos <= end).sort((a, b) => a.nanos - b.nanos)[0];
      if (!due) break;
      this.nanos = due.nanos;
      due.fire();
    }
    this.nanos = end;
  }
}

/** The parts of `board.mjs` that a modem needs. */
export class FakeBoard {
  constructor() {
    this.clock = new EmulatedTime();
    this.pacer = null;
    this.hooks = [];
  }

  nowNanos() {
    return this.clock.nanos;
  }

  at(nanos, callback) {
    const alarm = this.clock.createAlarm(callback);
    alarm.schedule(nanos - this.clock.nanos);
    return alarm;
  }

  onBoot(hook) {
    this.hooks.push(hook);
  }

  onDeep() {}

  boot(mcu) {
    this.hooks.forEach((hook) => hook(mcu));
  }
}
