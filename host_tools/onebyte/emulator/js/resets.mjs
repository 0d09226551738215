/**
 * How the chip starts again, and the registers around that which the package lacks.
 *
 * A watchdog reset, which machine.reset() and machine.deepsleep() also are, keeps RAM and the
 * scratch registers. The reset pin keeps RAM alone, a lost supply nothing.
 */

import { Registers } from './registers.mjs';

const SCR = 0xd10;
const SLEEPDEEP = 1 << 2;
const SLEEP_EN1 = 0xac;
const ALL_CLOCKS = 0x7fff;
const UART_CLOCKS = 0x3c0;
const CHIP_RESET = 0x08;
const HAD_POR = 1 << 8;
const HAD_RUN = 1 << 16;
const ROSC_STATUS = 0x18;
const ROSC_RANDOM = 0x1c;
const ROSC_STABLE = 0x80001000; // STABLE and ENABLED

/** VREG_AND_CHIP_RESET: what the last chip-level reset was; a watchdog reset does not change it. */
class ChipReset extends Registers {
  constructor(cause) {
    super();
    this.cause = cause;
  }

  read(offset) {
    return offset === CHIP_RESET ? this.cause : super.read(offset);
  }
}

/** The ring oscillator: stable at once, and its random bit comes from a seed (xorshift32). */
class RingOscillator extends Registers {
  constructor(state) {
    super();
    this.state = state;
  }

  read(offset) {
    if (offset === ROSC_STATUS) {
      return ROSC_STABLE;
    }
    if (offset !== ROSC_RANDOM) {
      return super.read(offset);
    }
    this.state.bits ^= this.state.bits << 13;
    this.state.bits ^= this.state.bits >>> 17;
    this.state.bits ^= this.state.bits << 5;
    return this.state.bits & 1;
  }
}

/** Make a register of a peripheral that the package lacks; `changed` is called after each write. */
function addRegister(peripheral, at, value, changed) {
  const read = peripheral.readUint32.bind(peripheral);
  const write = peripheral.writeUint32.bind(peripheral);
  const register = { value };
  peripheral.readUint32 = (offset) => (offset === at ? register.value : read(offset));
  peripheral.writeUint32 = (offset, written) => {
    if (offset === at) {
      register.value = written >>> 0;
      changed();
    } else {
      write(offset, written);
    }
  };
  return register;
}

/**
 * The sleep in which clocks stop: that of SLEEPDEEP, which MicroPython never clears again, while
 * SLEEP_EN1 leaves the UARTs out, which it does in `machine.lightsleep` alone.
 */
function addSleep(mcu, board) {
  const changed = () => {
    board.setDeep((control.value & SLEEPDEEP) !== 0 && (enabled.value & UART_CLOCKS) === 0);
  };
  const control = addRegister(mcu.ppb, SCR, 0, changed);
  const enabled = addRegister(mcu.peripherals[0x40008], SLEEP_EN1, ALL_CLOCKS, changed);
  changed();
}

function attachWatchdog(mcu, board, kept) {
  const watchdog = mcu.peripherals[0x40058];
  if (kept?.scratch) {
    watchdog.scratchData.set(kept.scratch);
    watchdog.reason = kept.reason;
  }
  watchdog.onWatchdogTrigger = () => {
    watchdog.alarm.enable = false; // else it would go off again at once, for ever
    const { scratchData: scratch, reason } = watchdog;
    board.reset({ scratch, reason, cause: board.resetCause });
  };
}

/**
 * Let a board's chip be reset.
 *
 * @param {object} board
 * @param {number} seed of the random bits, not 0
 */
export function attachResets(board, seed) {
  const random = { bits: seed >>> 0 || 1 };
  board.onBoot((mcu, kept) => {
    board.resetCause = kept === null ? HAD_POR : kept.pin ? HAD_RUN : kept.cause;
    mcu.peripherals[0x40060] = new RingOscillator(random);
    mcu.peripherals[0x40064] = new ChipReset(board.resetCause);
    addSleep(mcu, board);
    attachWatchdog(mcu, board, kept);
  });
}

