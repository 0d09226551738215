/**
 * One TCP connection of the guest, ended here and carried on by a socket of the host.
 *
 * States: opening, until the host's socket is connected -> accepting, until the guest has confirmed
 * our SYN -> open, which covers both half-closed states, since each direction has its own flag ->
 * lingering, both sides have finished and a last FIN may come again -> closed.
 */

import { ACK, FIN, PSH, RST, SYN, distance, packSegment } from './segment.mjs';

const WINDOW = 16384;
const OWN_SIZE = 1460;
const DEFAULT_SIZE = 536;
const MOST_IN_FLIGHT = 4; // segments; a serial line gains nothing by more
const FIRST_TIMEOUT_NANOS = 1e9;
const LONGEST_TIMEOUT_NANOS = 8e9;
const MOST_TIMEOUTS = 12;
const LINGER_NANOS = 2e9;
const ABANDONED_NANOS = 120e9;
const MOST_QUEUED = 65536;

/** Ends a guest's connection and passes its bytes on. */
export class Connection {
  /**
   * @param ends `{guest, server}`, each `{address, port}`.
   * @param syn the guest's first segment.
   * @param socket a socket of the host that is connecting, with `allowHalfOpen`.
   * @param net `{clock, send(packet), closed(connection), traffic}`, see `ipv4_tcp.mjs`.
   */
  constructor(ends, syn, socket, net) {
    this.guest = ends.guest;
    this.server = ends.server;
    this.state = 'opening';
    this.nRetransmitted = 0;
    this._net = net;
    this._socket = socket;
    this._receiveNext = (syn.seq + 1) >>> 0;
    this._guestEnded = false;
    this._told = WINDOW;
    this._unacked = Math.floor(net.clock.nanos / 4000) >>> 0; // sequence number, RFC 9293 3.4.1
    this._sendNext = this._unacked;
    this._highest = this._unacked; // of all that was ever sent
    this._sendWindow = syn.window;
    this._size = Math.min(syn.size ?? DEFAULT_SIZE, OWN_SIZE);
    this._queue = Buffer.alloc(0); // from _unacked on, once open
    this._hostEnded = false;
    this._endAcked = false;
    this._nTimeouts = 0;
    this._alarm = net.clock.createAlarm(() => this._timedOut());
    this._listen();
  }

  _listen() {
    const socket = this._socket;
    socket.on('connect', () => this._connected());
    socket.on('data', (data) => this._fromHost(data));
    socket.on('end', () => this._hostEnds());
    socket.on('error', () => this.reset());
    this._net.traffic.asked(this);
  }

  /** Take a segment of the guest. */
  input(segment) {
    if (this.state === 'opening') {
      if (segment.flags & RST) this.drop();
      return; // a SYN again: the answer comes when the host's socket is connected
    }
    if (segment.flags & RST) {
      if (segment.seq === this._receiveNext) this.drop();
    } else if (segment.flags & SYN) {
      if (this.state === 'accepting') this._sendSyn();
      else this._acknowledge();
    } else if (segment.flags & ACK) {
      this._takeAck(segment);
      if (this.state === 'open' || this.state === 'lingering') this._takeData(segment);
      this._finishIfDone();
    }
  }

  /** Close without a word to the guest: it has reset the connection, or is given up. */
  drop() {
    if (this._close()) this._socket.resetAndDestroy();
  }

  /**
   * The guest's link is gone. The server cannot know: its end stays open until it gives up itself,
   * or until the time in which TCP would.
   */
  abandon() {
    if (!this._close()) return;
    const socket = this._socket;
    for (const event of ['connect', 'data', 'end', 'error']) socket.removeAllListeners(event);
    for (const event of ['end', 'error']) socket.on(event, () => socket.destroy());
    socket.resume();
    this._net.clock.createAlarm(() => socket.destroy()).schedule(ABANDONED_NANOS);
  }

  _end() {
    if (this._close()) this._socket.destroy(); // both directions have ended
  }

  _close() {
    if (this.state === 'closed') return false;
    this.state = 'closed';
    this._alarm.cancel();
    this._net.traffic.settled(this);
    this._net.closed(this);
    return true;
  }

  /** Refuse or abort: the guest is told. */
  reset() {
    if (this.state === 'closed') return;
    const flags = this.state === 'opening' ? RST | ACK : RST;
    const seq = this.state === 'opening' ? 0 : this._sendNext;
    this._send({ seq, ack: this._receiveNext, flags, window: 0 });
    this.drop();
  }

  get _window() {
    return Math.max(0, WINDOW - this._socket.writableLength);
  }

  _send(segment) {
    const whole = { ack: this._receiveNext, window: this._window, ...segment };
    this._told = whole.window;
    this._net.send(packSegment(this.server, this.guest, whole));
  }

  _acknowledge() {
    this._send({ seq: this._sendNext, flags: ACK });
  }

  _connected() {
    this._net.traffic.settled(this);
    this.state = 'accepting';
    this._sent(1);
    this._sendSyn();
    this._startTimer();
  }

  _sendSyn() {
    this._send({ seq: this._unacked, flags: SYN | ACK, size: OWN_SIZE });
  }

  // From the host to the guest.

  _fromHost(data) {
    this._net.traffic.settled(this);
    this._queue = Buffer.concat([this._queue, data]);
    if (this._queue.length > MOST_QUEUED) this._socket.pause();
    this._flush();
  }

  _hostEnds() {
    this._net.traffic.settled(this);
    this._hostEnded = true;
    this._flush();
  }

  /** Send what the guest has room for. */
  _flush() {
    if (this.state !== 'open') return;
    for (;;) {
      const nInFlight = this._nInFlight;
      const room = Math.min(this._sendWindow, MOST_IN_FLIGHT * this._size) - nInFlight;
      const data = this._queue.subarray(nInFlight, nInFlight + Math.min(this._size, room));
      if (room <= 0 || !data.length) break;
      this._sendData(this._sendNext, data);
      this._sent(data.length);
    }
    if (this._hostEnded && !this._endSent && this._nInFlight === this._queue.length) {
      this._send({ seq: this._sendNext, flags: FIN | ACK });
      this._sent(1);
    }
    if (this._sendNext !== this._unacked || this._queue.length) this._startTimer();
  }

  _sent(length) {
    this._sendNext = (this._sendNext + length) >>> 0;
    if (distance(this._sendNext, this._highest) > 0) this._highest = this._sendNext;
  }

  /** Our FIN counts one beyond the last byte. */
  get _endSent() {
    return this._endAcked || distance(this._sendNext, this._unacked) > this._queue.length;
  }

  get _nInFlight() {
    return Math.min(distance(this._sendNext, this._unacked), this._queue.length);
  }

  _sendData(seq, data) {
    this._send({ seq, flags: PSH | ACK, data });
  }

  _takeAck(segment) {
    const nAcked = distance(segment.ack, this._unacked);
    if (distance(segment.ack, this._highest) > 0) {
      this._acknowledge();
      return;
    }
    if (nAcked < 0) return;
    this._sendWindow = segment.window;
    if (nAcked > 0) this._advance(nAcked);
    this._flush();
  }

  _advance(nAcked) {
    this._alarm.cancel();
    this._nTimeouts = 0;
    this._unacked = (this._unacked + nAcked) >>> 0;
    if (distance(this._unacked, this._sendNext) > 0) this._sendNext = this._unacked;
    if (this.state === 'accepting') {
      this.state = 'open';
    } else {
      if (nAcked > this._queue.length) this._endAcked = true;
      this._queue = this._queue.subarray(nAcked);
      if (this._queue.length <= MOST_QUEUED) this._socket.resume();
    }
  }

  _startTimer() {
    if (this._alarm.scheduled) return;
    const nanos = FIRST_TIMEOUT_NANOS * 2 ** this._nTimeouts;
    this._alarm.schedule(Math.min(nanos, LONGEST_TIMEOUT_NANOS));
  }

  /** The guest did not confirm in time: send the first unconfirmed segment again. */
  _timedOut() {
    if (this.state === 'lingering') this._end();
    if (this.state === 'closed') return;
    if (++this._nTimeouts > MOST_TIMEOUTS) {
      this.drop();
      return;
    }
    this.nRetransmitted++;
    if (this.state === 'accepting') {
      this._sendSyn();
    } else {
      // Back to what the guest has confirmed. One byte where its window is closed, as a probe.
      this._sendNext = this._unacked;
      const data = this._queue.subarray(0, Math.min(this._size, Math.max(1, this._sendWindow)));
      if (data.length) this._sendData(this._unacked, data);
      this._sent(data.length);
      this._flush();
    }
    this._startTimer();
  }

  // From the guest to the host.

  _takeData(segment) {
    const isEnd = (segment.flags & FIN) !== 0;
    if (!segment.data.length && !isEnd) return;
    const old = distance(this._receiveNext, segment.seq);
    if (old >= 0 && old <= segment.data.length && !this._guestEnded) {
      const fresh = segment.data.subarray(old, old + this._window);
      this._pass(fresh);
      if (isEnd && old + fresh.length === segment.data.length) this._guestEnds();
    }
    this._acknowledge();
  }

  _pass(data) {
    if (!data.length) return;
    this._receiveNext = (this._receiveNext + data.length) >>> 0;
    this._socket.write(Buffer.from(data), () => this._written());
    this._net.traffic.asked(this);
  }

  _guestEnds() {
    this._guestEnded = true;
    this._receiveNext = (this._receiveNext + 1) >>> 0;
    this._socket.end();
    this._net.traffic.asked(this);
  }

  /** The host has taken something: a guest that saw a small window must hear of it. */
  _written() {
    if (this.state === 'open' && this._told < OWN_SIZE && this._window >= WINDOW / 2) {
      this._acknowledge();
    }
  }

  _finishIfDone() {
    if (this.state === 'open' && this._guestEnded && this._endAcked) {
      this.state = 'lingering';
      this._alarm.schedule(LINGER_NANOS);
    }
  }
}
