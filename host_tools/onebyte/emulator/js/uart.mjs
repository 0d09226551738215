/**
 * The PL011 of the RP2040 with its line: bytes take their time in both directions.
 *
 * rp2040js 1.4.1 sends a byte the moment it is written and reports "room in the transmit FIFO" as a
 * level that never goes away, so that the interrupt handler of MicroPython's UART never ends. Here
 * the interrupts are what the data sheet says (4.2.3 and 4.2.6): transmit is an edge, the level
 * falling through the trigger; receive at the trigger level; receive timeout after 32 bit times.
 */

const DR = 0x00;
const RSR = 0x04;
const FR = 0x18;
const IFLS = 0x34;
const ICR = 0x44;
const DMACR = 0x48;

const RX_INTERRUPT = 1 << 4;
const TX_INTERRUPT = 1 << 5;
const TIMEOUT_INTERRUPT = 1 << 6;

const BUSY = 1 << 3;
const RX_EMPTY = 1 << 4;
const TX_FULL = 1 << 5;
const RX_FULL = 1 << 6;
const TX_EMPTY = 1 << 7;

const FIFO_BYTES = 32;
const TIMEOUT_BITS = 32;
/** Bytes at which the five settings of UARTIFLS trigger. */
const TRIGGERS = [4, 8, 16, 24, 28];
const IFLS_AT_RESET = 0x12;

/**
 * One UART and what is wired to it.
 *
 * What is sent to the guest waits while its receive FIFO is full, as with RTS and CTS wired: a byte
 * is never lost to an overrun, however long the guest has its interrupts off.
 */
export class UartLine {
  /**
   * @param uart RPUART of rp2040js; its methods are replaced on the instance.
   * @param clock clock of the emulator.
   */
  constructor(uart, clock) {
    this.uart = uart;
    this.clock = clock;
    /** Called with each byte once the guest has sent its last bit. */
    this.onByte = () => {};
    this._waiting = [];
    this._waitingAt = 0;
    this._tx = [];
    this._shifting = -1;
    this._isStopped = false;
    this._leftNanos = 0; // of the byte that waits for the clock
    this._ifls = IFLS_AT_RESET;
    this._txAlarm = clock.createAlarm(() => this._sent());
    this._rxAlarm = clock.createAlarm(() => this._received());
    this._rxBusy = false;
    this._timeoutAlarm = clock.createAlarm(() => this._timedOut());
    this._replaceMethods();
  }

  /** Bytes for the guest that are not in its FIFO yet. */
  get queued() {
    return this._waiting.length - this._waitingAt;
  }

  /** Nanoseconds of one character at the guest's settings. */
  get byteNanos() {
    const control = this.uart.lineCtrlRegister;
    const parity = (control >> 1) & 1;
    const stop = control & (1 << 3) ? 2 : 1;
    return (1 + this.uart.wordLength + parity + stop) * this._bitNanos;
  }

  get _bitNanos() {
    return 1e9 / (this.uart.baudDivider ? this.uart.baudRate : 115200);
  }

  /** Send bytes to the guest, at the rate of the line. */
  send(bytes) {
    for (const byte of bytes) this._waiting.push(byte);
    this._startReceiving();
  }

  /** The chip's clocks stop, or go on: what is being sent waits, what arrives is lost. */
  setStopped(isStopped) {
    this._isStopped = isStopped;
    if (this._shifting < 0) return;
    if (isStopped) {
      this._leftNanos = Math.max(0, this._txAlarm.nanos - this.clock.nanos);
      this._txAlarm.cancel();
    } else {
      this._txAlarm.schedule(this._leftNanos);
    }
  }

  _replaceMethods() {
    const { uart } = this;
    const read = uart.readUint32.bind(uart);
    const write = uart.writeUint32.bind(uart);
    uart.checkInterrupts = () => this._check();
    uart.readUint32 = (offset) => {
      if (offset === DR) return this._readData();
      if (offset === RSR || offset === DMACR) return 0;
      if (offset === FR) return this._flags();
      if (offset === IFLS) return this._ifls;
      return read(offset);
    };
    uart.writeUint32 = (offset, value) => {
      if (offset === DR) this._writeData(value & 0xff);
      else if (offset === IFLS) this._ifls = value & 0x3f;
      else if (offset === ICR) this._clearInterrupts(uart.rawWriteValue);
      else if (offset !== RSR && offset !== DMACR) write(offset, value);
    };
  }

  _check() {
    const { uart } = this;
    uart.rp2040.setInterrupt(uart.irq, (uart.interruptStatus & uart.interruptMask) !== 0);
  }

  _flags() {
    const { rxFIFO, fifosEnabled } = this.uart;
    const full = fifosEnabled ? rxFIFO.full : !rxFIFO.empty;
    return (
      (this._shifting >= 0 ? BUSY : 0) |
      (rxFIFO.empty ? RX_EMPTY : 0) |
      (this._tx.length >= this._depth ? TX_FULL : 0) |
      (full ? RX_FULL : 0) |
      (this._tx.length === 0 ? TX_EMPTY : 0)
    );
  }

  get _depth() {
    return this.uart.fifosEnabled ? FIFO_BYTES : 1;
  }

  _trigger(shift) {
    return this.uart.fifosEnabled ? (TRIGGERS[(this._ifls >> shift) & 7] ?? FIFO_BYTES) : 1;
  }

  _clearInterrupts(bits) {
    this.uart.interruptStatus &= ~bits;
    if (bits & TIMEOUT_INTERRUPT) this._armTimeout();
    this._check();
  }

  // Guest to line.

  _writeData(byte) {
    if (this._tx.length >= this._depth) return; // as the chip: it is lost
    this._tx.push(byte);
    if (this._tx.length > this._txTrigger) this.uart.interruptStatus &= ~TX_INTERRUPT;
    if (this._shifting < 0) this._shift();
    this._check();
  }

  get _txTrigger() {
    return this.uart.fifosEnabled ? this._trigger(0) : 0;
  }

  _shift() {
    const before = this._tx.length;
    this._shifting = this._tx.shift();
    if (before > this._txTrigger && this._tx.length <= this._txTrigger) {
      this.uart.interruptStatus |= TX_INTERRUPT;
    }
    this._txAlarm.schedule(this.byteNanos);
  }

  _sent() {
    const byte = this._shifting;
    this._shifting = -1;
    if (this._tx.length) this._shift();
    this._check();
    this.onByte(byte);
  }

  // Line to guest.

  _startReceiving() {
    if (this._rxBusy || !this.queued) return;
    if (this.uart.rxFIFO.itemCount >= this._depth) return; // goes on with the next read
    this._rxBusy = true;
    this._rxAlarm.schedule(this.byteNanos);
  }

  _received() {
    const { uart } = this;
    this._rxBusy = false;
    const byte = this._next();
    if (uart.enabled && uart.rxEnabled && !this._isStopped) {
      uart.rxFIFO.push(byte);
      if (uart.rxFIFO.itemCount >= this._trigger(3)) uart.interruptStatus |= RX_INTERRUPT;
      this._armTimeout();
      this._check();
    }
    this._startReceiving();
  }

  _next() {
    const byte = this._waiting[this._waitingAt++];
    if (this._waitingAt > 4096) {
      this._waiting.splice(0, this._waitingAt);
      this._waitingAt = 0;
    }
    return byte;
  }

  _readData() {
    const { uart } = this;
    const byte = uart.rxFIFO.pull();
    if (uart.rxFIFO.itemCount < this._trigger(3)) uart.interruptStatus &= ~RX_INTERRUPT;
    if (uart.rxFIFO.empty) uart.interruptStatus &= ~TIMEOUT_INTERRUPT;
    this._armTimeout();
    this._check();
    this._startReceiving();
    return byte;
  }

  _armTimeout() {
    if (this.uart.rxFIFO.empty) this._timeoutAlarm.cancel();
    else this._timeoutAlarm.schedule(TIMEOUT_BITS * this._bitNanos);
  }

  _timedOut() {
    if (this.uart.rxFIFO.empty) return;
    this.uart.interruptStatus |= TIMEOUT_INTERRUPT;
    this._check();
  }
}

/** A UART of the board: the same line over all resets of the chip. */
export class BoardUart {
  /**
   * @param board see `board.mjs`; must not be switched on yet.
   * @param number 0 or 1.
   */
  constructor(board, number) {
    /** Called with each byte once the guest has sent its last bit. */
    this.onByte = () => {};
    this._line = null;
    board.onBoot((mcu) => {
      this._line = new UartLine(mcu.uart[number], board.clock);
      this._line.onByte = (byte) => this.onByte(byte);
    });
    board.onDeep((isDeep) => this._line.setStopped(isDeep));
  }

  /** Bytes for the guest that are not in its FIFO yet. */
  get queued() {
    return this._line.queued;
  }

  /** Send bytes to the guest; what a reset finds on the line is lost. */
  send(bytes) {
    this._line.send(bytes);
  }
}
