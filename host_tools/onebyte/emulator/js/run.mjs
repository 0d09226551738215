/**
 * The emulator's process: commands as JSON lines on stdin, answers as JSON lines on stdout.
 *
 * The emulated time stands still unless a command runs it, so the same commands give the same
 * cycles. The only argument is a JSON text with the paths of engine, bootrom and flash image.
 */

import fs from 'node:fs';
import readline from 'node:readline';

import { Board } from './board.mjs';
import { attachDevices, setKnobs } from './devices.mjs';
import { Mailbox } from './mailbox.mjs';
import { loadEngine } from './patches.mjs';
import { attachResets } from './resets.mjs';
import { SerialServer } from './serial_server.mjs';
import { BoardUart } from './uart.mjs';

const SLICE_CYCLES = 2_000_000;

/** What this process took of the processor; however busy the PC is. */
function cpuSeconds() {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

/** Output of the chip that nobody has taken yet. */
class Output {
  constructor(serial, onMatch) {
    this.bytes = Buffer.alloc(0);
    this.until = null;
    this.onMatch = onMatch;
    serial.onData = (bytes) => this.add(bytes);
  }

  add(bytes) {
    this.bytes = Buffer.concat([this.bytes, bytes]);
    if (this.matchEnd() >= 0) {
      this.onMatch();
    }
  }

  /** Where the text that is waited for ends, or -1. */
  matchEnd() {
    if (this.until === null) {
      return -1;
    }
    const at = this.bytes.indexOf(this.until);
    return at < 0 ? -1 : at + this.until.length;
  }

  take(length = this.bytes.length) {
    const taken = this.bytes.subarray(0, length);
    this.bytes = this.bytes.subarray(length);
    return taken;
  }
}

class Session {
  constructor(board, mailbox, devices, modem) {
    this.board = board;
    this.mailbox = mailbox;
    this.devices = devices;
    this.modem = modem;
    this.output = new Output(board.serial, () => board.halt());
  }

  state() {
    const { board } = this;
    return {
      cycles: board.cycles,
      nanos: board.nowNanos(),
      resets: board.resets,
      asleep: board.asleepNanos,
      dead: board.isDead,
      flash: board.flash.operations,
      cpu_s: cpuSeconds(),
    };
  }

  /** Run until a text comes or `ms` of emulated time passed. */
  async run({ send, until, ms, cpu_s: mostS }) {
    const { board, output } = this;
    if (this.server) {
      throw new Error('the serial port is in use by its TCP port');
    }
    output.until = until ? Buffer.from(until, 'base64') : null;
    if (send) {
      board.serial.send(Buffer.from(send, 'base64'));
    }
    let isOver = false;
    const deadline = board.at(board.nowNanos() + ms * 1e6, () => {
      isOver = true;
      board.halt();
    });
    const lastMoment = cpuSeconds() + mostS;
    board.isStopped = false;
    const isDone = () => isOver || board.isStopped || board.isDead;
    try {
      while (output.matchEnd() < 0 && !isDone()) {
        if (cpuSeconds() > lastMoment) {
          throw new Error(`still running after ${mostS} s of the PC's processor`);
        }
        board.runSlice(SLICE_CYCLES);
        await this.turn();
      }
    } finally {
      deadline.cancel();
    }
    return { ...this.taken(), stopped: board.isStopped };
  }

  /** The output up to the text that was waited for, or all of it. */
  taken() {
    const end = this.output.matchEnd();
    this.output.until = null;
    const bytes = this.output.take(end < 0 ? undefined : end);
    return { found: end >= 0, output: bytes.toString('base64') };
  }

  /** Let sockets and stdin be served. */
  turn() {
    const { pacer } = this.board;
    return pacer ? pacer.turn() : new Promise((resolve) => setImmediate(resolve));
  }

  /** Queue bytes for the serial port without running. */
  send({ send }) {
    this.board.serial.send(Buffer.from(send, 'base64'));
    return {};
  }

  /** The host takes nothing from the serial port, or takes again. */
  stall({ stalled }) {
    this.board.serial.stall(stalled);
    return {};
  }

  /** Open a TCP port to the serial port and run until `unserve`. */
  async serve({ port, speed }) {
    this.server = new SerialServer(this.board);
    return { port: await this.server.open(port, speed) };
  }

  async unserve() {
    const { server } = this;
    this.server = null;
    await server.close();
    return {};
  }

  reset() {
    this.board.boot({ pin: true });
    return {};
  }

  /** The supply fails `share` through the flash operation of this number from now on. */
  cut({ operation, share }) {
    this.board.flash.cut = operation === null ? null : { operation, share };
    return {};
  }

  /** The supply comes back: RAM is empty, the flash is as it was left. */
  power() {
    this.board.powerOn();
    return {};
  }

  /** Change the knobs of the device with this number. */
  device({ index, knobs }) {
    setKnobs(this.devices[index], knobs);
    return {};
  }

  /** What the modem counted. */
  modemStats() {
    return { modem: this.modem ? this.modem.stats() : {} };
  }

  /** Let the modem's link fail; see ppp.mjs. */
  outage({ outage }) {
    this.modem.outage(outage);
    return {};
  }

  /** [number, cycles, nanoseconds] of each mark since the last call. */
  marks() {
    return { marks: this.mailbox.marks.splice(0) };
  }

  /** Write the flash to a file. */
  flash({ path }) {
    fs.writeFileSync(path, this.board.flash.data);
    return {};
  }
}

/** Both UARTs with their lines; the modem, or null. */
async function attachUarts(board, ppp) {
  const taken = ppp ? (ppp.uart ?? 0) : null;
  [0, 1].filter((number) => number !== taken).forEach((number) => new BoardUart(board, number));
  if (!ppp) {
    return null;
  }
  const { attachPpp } = await import('./ppp.mjs');
  return attachPpp(board, ppp);
}

async function start(config) {
  const log = config.log ? (line) => process.stderr.write(`${line}\n`) : null;
  const engine = await loadEngine(config.engine);
  const words = fs.readFileSync(config.bootrom);
  const bootrom = new Uint32Array(words.buffer.slice(words.byteOffset, words.byteOffset + 16384));
  const board = new Board(engine, bootrom, fs.readFileSync(config.image), log);
  attachResets(board, config.seed ?? 1);
  const mailbox = new Mailbox(board, config.mailbox ?? {});
  const devices = attachDevices(board, config.devices ?? []);
  const modem = await attachUarts(board, config.ppp);
  board.powerOn();
  return new Session(board, mailbox, devices, modem);
}

function answer(message) {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

const session = await start(JSON.parse(process.argv[2]));
const lines = readline.createInterface({ input: process.stdin });
lines.on('line', async (line) => {
  const { id, op, ...options } = JSON.parse(line);
  try {
    const result = await session[op](options);
    answer({ id, ...result, ...session.state() });
  } catch (error) {
    answer({ id, error: error.message, trace: error.stack, ...session.state() });
  }
});
lines.on('close', () => process.exit(0));
answer({ id: 0, ...session.state() });
