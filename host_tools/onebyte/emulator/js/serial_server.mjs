/**
 * The USB serial port as a TCP port of this machine, so that `mpremote connect socket://...` works.
 *
 * Somebody waits at the other end, so what the chip sleeps takes as long here. While it executes,
 * it is as fast as this machine can.
 */

import net from 'node:net';

const SLICE_CYCLES = 2_000_000;
const PAUSE_MS = 2;
const HOST = '127.0.0.1';

/** Lets sleep last as long by the wall clock, or `speed` times shorter; see `Board.pacer`. */
class WallPacer {
  /**
   * @param {object} board whose sleep it is
   * @param {number} speed emulated seconds in a second of sleep, at most
   * @param {object|null} modem the pacer of the modem, which may hold time as well
   */
  constructor(board, speed, modem) {
    Object.assign(this, { board, speed, modem });
    this.offset = board.nowNanos() - this.scaledNanos();
    this.wake = () => {};
  }

  scaledNanos() {
    return performance.now() * 1e6 * this.speed;
  }

  allow(nanos) {
    const granted = this.scaledNanos() + this.offset - this.board.nowNanos();
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
  }
}

/** Runs a board for as long as the port is open. */
export class SerialServer {
  constructor(board) {
    this.board = board;
    this.client = null;
    this.isOpen = false;
    this.failure = null;
  }

  /** Open the port, 0 for any, and return its number; see WallPacer for the speed. */
  async open(port, speed) {
    this.server = net.createServer((client) => this.accept(client));
    await new Promise((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(port, HOST, resolve);
    });
    this.isOpen = true;
    this.before = { pacer: this.board.pacer, onData: this.board.serial.onData };
    this.board.pacer = new WallPacer(this.board, speed, this.before.pacer);
    this.board.serial.onData = (bytes) => this.client?.write(bytes);
    this.running = this.run();
    return this.server.address().port;
  }

  /** One client; a second one takes its place, as a serial port has one end. */
  accept(client) {
    this.client?.destroy();
    this.client = client;
    client.setNoDelay(true);
    client.on('data', (bytes) => {
      this.board.serial.send(bytes);
      this.board.pacer.wake?.();
    });
    client.on('error', () => {}); // 'close' follows
    client.on('close', () => {
      this.client = this.client === client ? null : this.client;
    });
  }

  async run() {
    const { board } = this;
    try {
      while (this.isOpen && !board.isDead) {
        board.runSlice(SLICE_CYCLES);
        await board.pacer.turn();
      }
    } catch (error) {
      this.failure = error; // told by close()
      this.client?.destroy();
    }
  }

  /** Close the port; time stands still again. */
  async close() {
    this.isOpen = false;
    this.board.halt();
    await this.running;
    this.client?.destroy();
    await new Promise((resolve) => this.server.close(resolve));
    this.board.pacer = this.before.pacer;
    this.board.serial.onData = this.before.onData;
    if (this.failure) {
      throw this.failure;
    }
  }
}
