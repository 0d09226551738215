/** A Pico: the chip, what is soldered to it, and the emulated time. Survives resets of the chip. */

import { CycleClock } from './clock.mjs';
import { FlashChip, attachFlash } from './flash.mjs';
import { Fault, addViews } from './memory.mjs';
import { UsbSerial } from './serial.mjs';

const FLASH_START = 0x10000000;
const MCU_HZ = 125e6;
const STEP_NANOS = 1000; // a shorter sleep might not move the clock on

/** One line of the emulated time, in nanoseconds since power-on, that no reset breaks. */
class Event {
  constructor(board, nanos, callback) {
    this.board = board;
    this.nanos = nanos;
    this.callback = callback;
  }

  arm() {
    const clock = this.board.clock;
    this.alarm = clock.createAlarm(() => {
      this.board.events.delete(this);
      this.callback();
    });
    this.alarm.schedule(Math.max(0, this.nanos - this.board.nowNanos()));
  }

  cancel() {
    this.board.events.delete(this);
    this.alarm.cancel();
  }
}

export class Board {
  /**
   * @param {object} engine what `loadEngine` returns
   * @param {Uint32Array} bootrom the chip's ROM
   * @param {Uint8Array} image content of the flash
   * @param {Function|null} log takes a line
   */
  constructor(engine, bootrom, image, log) {
    this.engine = engine;
    this.bootrom = bootrom;
    this.log = log;
    this.flash = new FlashChip(image, this);
    this.serial = new UsbSerial(engine.USBCDC);
    this.bootHooks = [];
    this.deepHooks = [];
    this.isDeep = false; // the clocks stop when the core sleeps
    this.asleepNanos = 0; // slept so since power-on
    this.events = new Set();
    this.pacer = null;
    this.resets = 0;
    this.cyclesBefore = 0;
    this.nanosBefore = 0;
    this.mcu = null;
    this.clock = null;
    this.mustStop = false;
    this.pendingReset = null;
    this.isDead = true; // until powerOn()
    this.isStopped = false;
  }

  /** Switch the power on: at first, or after `losePower`. */
  powerOn() {
    this.isDead = false;
    this.flash.powerOn();
    this.boot(null);
  }

  /** The supply fails now: nothing runs until it is switched on again. */
  losePower() {
    this.isDead = true;
    this.halt();
  }

  /** The program asks for the end of the run. */
  stop() {
    this.isStopped = true;
    this.halt();
  }

  /** Let time go by without executing anything. */
  skip(nanos) {
    this.clock.skip(nanos);
    this.clock.limitCore();
  }

  /** Emulated nanoseconds since power-on. */
  nowNanos() {
    return this.nanosBefore + (this.clock ? this.clock.nanos : 0);
  }

  /** Cycles executed since power-on; sleep is not among them. */
  get cycles() {
    return this.cyclesBefore + (this.mcu ? this.mcu.core.cycles : 0);
  }

  /** Call `callback` at an emulated time; the answer has cancel(). */
  at(nanos, callback) {
    const event = new Event(this, nanos, callback);
    this.events.add(event);
    if (this.clock) {
      event.arm();
    }
    return event;
  }

  /** Call `hook(mcu, kept)` after each start; `kept` is what survived, null after power-on. */
  onBoot(hook) {
    this.bootHooks.push(hook);
  }

  /** Call `hook(isDeep)` when the clocks stop, or go on. */
  onDeep(hook) {
    this.deepHooks.push(hook);
  }

  setDeep(isDeep) {
    if (isDeep !== this.isDeep) {
      this.isDeep = isDeep;
      this.deepHooks.forEach((hook) => hook(isDeep));
    }
  }

  /** Reset the chip before its next instruction; `kept` is handed to the boot hooks. */
  reset(kept) {
    this.pendingReset = kept;
    this.halt();
  }

  /** End the running slice. */
  halt() {
    this.mustStop = true;
    if (this.mcu) {
      this.mcu.core.limit = -1;
    }
  }

  /** Something came in from outside; a sleeping core is looked at again. */
  wake() {
    this.halt();
  }

  boot(kept) {
    const before = this.mcu;
    if (before) {
      this.nanosBefore += this.clock.nanos;
      this.cyclesBefore += before.core.cycles;
      this.resets++;
    }
    this.clock = new CycleClock(MCU_HZ);
    const mcu = new this.engine.RP2040(this.clock);
    mcu.logger = this.engine.logger(this.log);
    mcu.onBreak = (code) => {
      throw new Fault(`breakpoint ${code} at 0x${(mcu.core.PC - 2).toString(16)}`);
    };
    addViews(mcu, this.bootrom);
    attachFlash(mcu, this.flash);
    if (before && kept) {
      mcu.sram.set(before.sram); // the supply never failed
    }
    mcu.core.reset(); // takes the stack from the ROM
    mcu.core.limit = 0;
    mcu.addClockListener((hz) => this.clock.setFrequency(hz));
    this.mcu = mcu;
    this.clock.attach(mcu.core);
    this.serial.attach(mcu);
    this.bootHooks.forEach((hook) => hook(mcu, kept));
    this.events.forEach((event) => event.arm());
    mcu.core.PC = FLASH_START; // where the ROM goes when no button is pressed
  }

  /** Run for up to this many cycles, idle time not counted, or until `halt()`. */
  runSlice(maxCycles) {
    if (this.isDead) {
      return;
    }
    this.mustStop = false;
    const end = this.mcu.core.cycles + maxCycles;
    while (!this.mustStop && this.mcu.core.cycles < end) {
      const { mcu, clock } = this;
      const { core } = mcu;
      if (core.waiting) {
        if (!this.sleep(core, clock)) {
          return;
        }
      } else {
        core.limit = Math.min(end, Math.max(clock.alarmCycles, core.cycles + 1));
        core.runLoop(mcu);
      }
      clock.fire();
      if (core.waiting && core.interruptsUpdated) {
        core.wakeIfPending();
      }
      if (this.pendingReset) {
        const kept = this.pendingReset;
        this.pendingReset = null;
        this.boot(kept);
      }
    }
  }

  /** Skip what the core sleeps; false: somebody outside must move first. */
  sleep(core, clock) {
    const gap = clock.nanosToNextAlarm;
    const skip = this.pacer ? this.pacer.allow(gap) : gap;
    if (skip < Math.min(gap, STEP_NANOS) || skip === Infinity) {
      return false;
    }
    clock.skip(skip);
    if (this.isDeep) {
      this.asleepNanos += skip;
    }
    return true;
  }
}
