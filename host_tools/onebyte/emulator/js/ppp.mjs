/**
 * A modem on a UART of the emulated board: PPP to the guest, TCP to this machine's loopback interface.
 *
 * Its link can fail as links do:
 *   stall   packets wait in both directions, then go on (a mobile cell that is overloaded)
 *   drop    the carrier is gone without a word; afterwards the network asks for a new session
 *   hangup  the network ends the session properly, and lets nobody in until the time is over
 */

import { Internet } from './ipv4_tcp.mjs';
import { parseAddress } from './ipv4.mjs';
import { Pacer } from './pace.mjs';
import { PppPeer } from './ppp_peer.mjs';
import { BoardUart } from './uart.mjs';

const DEFAULTS = {
  uart: 0,
  guest: '10.0.0.2',
  gateway: '10.0.0.1',
  dns: true,
  names: {},
  redirects: {},
  factor: 0.1, // a busy machine's broker has ten times as long as the board grants
  grace_ms: 30_000,
  outages: [],
};
const KINDS = ['stall', 'drop', 'hangup'];

/** Timers of the emulated board with the interface of the emulator's own clock. */
class BoardClock {
  constructor(board) {
    this._board = board;
  }

  get nanos() {
    return this._board.nowNanos();
  }

  createAlarm(callback) {
    const board = this._board;
    let handle = null;
    return {
      get scheduled() {
        return handle !== null;
      },
      schedule(nanos) {
        this.cancel();
        handle = board.at(board.nowNanos() + nanos, () => {
          handle = null;
          callback();
        });
      },
      cancel() {
        handle?.cancel();
        handle = null;
      },
    };
  }
}

/** What joins the line, the PPP session and the internet. */
export class Link {
  /**
   * @param board see `board.mjs`: not switched on yet.
   * @param config the `ppp` object of the machine's configuration; see `DEFAULTS`.
   */
  constructor(board, config) {
    const options = { ...DEFAULTS, ...check(config) };
    const gateway = parseAddress(options.gateway);
    const dns = options.dns ? gateway : null;
    this._board = board;
    this._outage = null;
    this._held = [];
    this._line = new BoardUart(board, options.uart);
    this._line.onByte = (byte) => this._fromGuest(byte);
    this.pacer = new Pacer(() => board.nowNanos(), {
      factor: options.factor,
      graceMs: options.grace_ms,
    });
    const clock = new BoardClock(board);
    const addresses = { guest: parseAddress(options.guest), gateway, dns };
    this._peer = new PppPeer(
      addresses,
      clock,
      (bytes) => this._line.send(bytes),
      (packet) => this._pass(() => this._internet.input(packet)),
    );
    const internet = {
      redirects: new Map(Object.entries(options.redirects)),
      names: new Map(Object.entries(options.names).map(([k, v]) => [k, parseAddress(v)])),
      gateway,
      dns,
    };
    const send = (packet) => this._pass(() => this._peer.sendPacket(packet));
    this._internet = new Internet(internet, clock, send, this.pacer);
    this._peer.onDown = () => this._internet.abandon();
    this._bytes = { from: 0 };
    for (const { at_ms: atMs, ...outage } of options.outages) {
      board.at(atMs * 1e6, () => this.outage(outage));
    }
  }

  /** Let the link fail now for some time of the emulated clock. */
  outage({ kind, for_ms: forMs }) {
    checkOutage({ kind, for_ms: forMs });
    const wasUp = this._peer.isUp;
    if (kind === 'hangup') this._peer.terminate();
    if (kind === 'drop') this._peer.lose();
    const mine = { kind };
    this._outage = mine;
    this._board.at(this._board.nowNanos() + forMs * 1e6, () => {
      if (this._outage === mine) this._recover(kind === 'drop' && wasUp);
    });
  }

  /** Counters since the start, for people and tests. */
  stats() {
    return {
      ...this._peer.stats,
      bad_frames: this._peer.nBad,
      bytes_in: this._bytes.from,
      is_up: this._peer.isUp,
      open: this._internet.nConnections,
      held_ms: Math.round(this.pacer.heldMs),
      ...this._internet.stats,
    };
  }

  _fromGuest(byte) {
    this._bytes.from++;
    if (this._outage === null || this._outage.kind === 'stall') this._peer.input(byte);
  }

  _pass(action) {
    if (this._outage === null) action();
    else if (this._outage.kind === 'stall') this._held.push(action);
  }

  _recover(asksAgain) {
    this._outage = null;
    const held = this._held;
    this._held = [];
    for (const action of held) action();
    if (asksAgain) this._peer.begin();
  }
}

function check(config) {
  const unknown = Object.keys(config).filter((key) => !(key in DEFAULTS));
  if (unknown.length) throw new RangeError(`ppp: unknown option ${unknown.join(', ')}`);
  for (const [name, port] of Object.entries(config.redirects ?? {})) {
    parseAddress(name.split(':')[0]);
    if (!Number.isInteger(port) || port < 1 || port > 65535) {
      throw new RangeError(`ppp: ${name} leads to no port`);
    }
  }
  for (const outage of config.outages ?? []) checkOutage(outage);
  return config;
}

function checkOutage({ kind, for_ms: forMs }) {
  if (!KINDS.includes(kind)) throw new RangeError(`ppp: outage of unknown kind ${kind}`);
  if (!(forMs > 0)) throw new RangeError('ppp: an outage needs for_ms above 0');
}

/**
 * Wire a modem to the board and let it pace the board's time.
 *
 * @param board see `board.mjs`.
 * @param config the `ppp` object of the machine's configuration.
 * @returns the Link: `pacer`, `stats()`, `outage()`.
 */
export function attachPpp(board, config) {
  const link = new Link(board, config);
  board.pacer = link.pacer;
  return link;
}
