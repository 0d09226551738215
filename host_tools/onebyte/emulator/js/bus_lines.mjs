/** The two lines of an I2C bus and the devices on them; survives resets of the chip. */

import { I2cController } from './i2c_bus.mjs';

const PERIPHERALS = [0x40044, 0x40048];
const INTERRUPTS = [23, 24];
const FREEING_PULSES = 9;
const LOW = 0; // GPIOPinState.Low: the chip pulls the line down

/** One bus. */
export class I2cBus {
  /**
   * @param {object} board not switched on yet
   * @param {{index: number, sda: number, scl: number}} pins controller and GPIO numbers
   */
  constructor(board, { index, sda, scl }) {
    this.devices = [];
    this.isHeld = false;
    this.pulses = 0;
    this.onRelease = () => {};
    this.sdaPin = null;
    board.onBoot((mcu) => {
      mcu.peripherals[PERIPHERALS[index]] = new I2cController(
        mcu,
        INTERRUPTS[index],
        board.clock,
        this,
      );
      this.sdaPin = mcu.gpio[sda];
      mcu.gpio[scl].setInputValue(true); // pulled up
      this.sdaPin.setInputValue(!this.isHeld);
      mcu.gpio[scl].addListener((state, before) => {
        if (before === LOW && state !== LOW) {
          this.clock();
        }
      });
    });
  }

  add(device) {
    this.devices.push(device);
  }

  /** The device that acknowledges this address, or null. */
  find(address, isReading) {
    return this.devices.find((device) => device.connect(address, isReading)) ?? null;
  }

  /** A device that was interrupted within a byte holds SDA low until it has got its clocks. */
  hold() {
    this.isHeld = true;
    this.pulses = 0;
    this.sdaPin?.setInputValue(false);
  }

  /** A pulse that a program gives on SCL by hand. */
  clock() {
    this.pulses++;
    if (this.isHeld && this.pulses >= FREEING_PULSES) {
      this.isHeld = false;
      this.sdaPin.setInputValue(true);
      this.onRelease();
    }
  }
}
