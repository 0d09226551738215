/**
 * Everything in which this emulator differs from rp2040js 1.4.1, with the reason of each.
 *
 *   instruction loop   decoded by a table, and its corrections            core.mjs
 *   clock              asked, not told after each instruction             clock.mjs
 *   memory             short ways first; what the chip refuses is a fault  memory.mjs
 *   interrupts         WFI under PRIMASK entered the handler at once       below
 *   flash              erase and program are ignored, no status            flash.mjs
 *   XIP control, SCR, SLEEP_EN1, ROSC,
 *   CHIP_RESET         registers that are not there                        flash.mjs, resets.mjs
 *   watchdog           resets nothing, and goes off again without end      resets.mjs
 *   UART               no baud rate, and a TX interrupt that never ends    uart.mjs
 *   I2C                no time passes, no held line, no end by disabling   i2c_bus.mjs
 *   USB                an empty packet every 10 us instead of a NAK, and
 *                      no start of frame, for which MicroPython waits      serial.mjs
 */

import fs from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

import { compileLoop } from './core.mjs';
import { Fault, installMemory } from './memory.mjs';

const LOWEST_PRIORITY = 4;

/** Methods of CortexM0Core. */
const core = {
  /** A sleeping core wakes for an interrupt that is pending, enabled and of higher priority. */
  setInterrupt(irq, value) {
    const bit = 1 << irq;
    if (!value) {
      this.pendingInterrupts &= ~bit;
    } else if (!(this.pendingInterrupts & bit)) {
      this.pendingInterrupts |= bit;
      this.interruptsUpdated = true;
    }
  },

  /**
   * WFI ends although PRIMASK is set, but the handler then waits for PRIMASK to be cleared. The
   * package entered the handler at once, inside machine.lightsleep()'s critical section.
   */
  wakeIfPending() {
    const current = Math.min(this.exceptionPriority(this.IPSR), LOWEST_PRIORITY);
    const pending = this.pendingInterrupts & this.enabledInterrupts;
    for (let priority = 0; priority < current; priority++) {
      const isSystem =
        (this.pendingSystick && priority === this.systickPriority) ||
        (this.pendingPendSV && priority === this.pendSVPriority);
      if (isSystem || pending & this.interruptPriorities[priority]) {
        this.waiting = false;
        return;
      }
    }
  },
};

/** `cycles` and `limit` as numbers of one array: as fields they would be boxed at each change. */
const time = {
  cycles: {
    get() {
      return this.time[0];
    },
    set(value) {
      this.time ??= new Float64Array(2);
      this.time[0] = value;
    },
  },
  limit: {
    get() {
      return this.time[1];
    },
    set(value) {
      this.time[1] = value;
    },
  },
};

function installCore(CortexM0Core, source) {
  Object.defineProperties(CortexM0Core.prototype, time);
  const enter = CortexM0Core.prototype.checkForInterrupts;
  Object.assign(CortexM0Core.prototype, core, {
    runLoop: compileLoop(source),
    checkForInterrupts() {
      this.waiting = false; // the package's special case for a sleeping core is not wanted
      return enter.call(this);
    },
  });
}

/** The package warns of each register that it lacks; what an instruction cannot do is a fault. */
class FaultLogger {
  constructor(log) {
    this.log = log;
  }

  debug() {}

  info() {}

  warn(part, text) {
    if (this.log) {
      this.log(`${part}: ${text}`);
    }
  }

  error(part, text) {
    throw new Fault(`${part}: ${text}`);
  }
}

/**
 * Load the package from a folder and put the patches in.
 *
 * @param {string} folder the unpacked package
 * @returns {Promise<object>} {RP2040, USBCDC, logger(log)}
 */
export async function loadEngine(folder) {
  const esm = path.join(folder, 'dist', 'esm');
  const load = (name) => import(pathToFileURL(path.join(esm, name)).href);
  const { RP2040 } = await load('rp2040.js');
  const { USBCDC } = await load('usb/cdc.js');
  const { CortexM0Core } = await load('cortex-m0-core.js');
  const source = fs.readFileSync(path.join(esm, 'cortex-m0-core.js'), 'utf8');
  installCore(CortexM0Core, source);
  installMemory(RP2040);
  return { RP2040, USBCDC, logger: (log) => new FaultLogger(log) };
}
