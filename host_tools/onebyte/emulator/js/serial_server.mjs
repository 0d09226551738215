/**
 * The USB serial port as a TCP port of this machine, so that `mpremote connect socket://...` works.
 *
 * Somebody waits at the other end, so what the chip sleeps takes as long here. While it executes,
 * it is as fast as this machine can.
 */

import net from 'node:net';

import { WallPacer } from './pace.mjs';

const SLICE_CYCLES = 2_000_000;
const HOST = '127.0.0.1';

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
    if (this.board.isDead) {
      client.end();
    }
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
      this.client?.end(); // whose supply fails is gone from the USB as well
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
