/** The devices that a configuration solders to a board. */

import { I2cBus } from './bus_lines.mjs';
import { Lis3dh } from './lis3dh.mjs';
import { Lsm6dsox } from './lsm6dsox.mjs';
import { Mpu6050 } from './mpu6050.mjs';

const CHIPS = { lis3dh: Lis3dh, lsm6dsox: Lsm6dsox, mpu6050: Mpu6050 };
const KNOBS = new Set([
  ...['chip', 'rows', 'address', 'bus', 'sda', 'scl'],
  ...['absent', 'unplugged_ms', 'plugged_ms', 'who_am_i'],
  ...['rate_error', 'holds_sda_ms', 'gyro_delay'],
]);
const DEFAULT_PINS = [
  { index: 0, sda: 4, scl: 5 },
  { index: 1, sda: 6, scl: 7 },
];

function check(options) {
  const unknown = Object.keys(options).filter((name) => !KNOBS.has(name));
  if (unknown.length > 0) {
    throw new Error(`a device has no option ${unknown.join(', ')}`);
  }
}

/**
 * Solder devices to the board.
 *
 * @param {object} board not switched on yet
 * @param {object[]} list {chip, rows, ...}; see fifo_chip.mjs
 * @returns {object[]} the chips, in the same order
 */
export function attachDevices(board, list) {
  const buses = new Map();
  return list.map((options) => {
    check(options);
    const Chip = CHIPS[options.chip];
    if (!Chip) {
      throw new Error(`no such chip: ${options.chip}; there are ${Object.keys(CHIPS).join(', ')}`);
    }
    const pins = { ...DEFAULT_PINS[options.bus ?? 0] };
    pins.sda = options.sda ?? pins.sda;
    pins.scl = options.scl ?? pins.scl;
    if (!buses.has(pins.index)) {
      buses.set(pins.index, new I2cBus(board, pins));
    }
    const chip = new Chip(board, buses.get(pins.index), options);
    buses.get(pins.index).add(chip);
    return chip;
  });
}

/** Change the knobs of a chip while it runs. */
export function setKnobs(chip, knobs) {
  check(knobs);
  chip.set(knobs);
}
