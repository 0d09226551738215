/**
 * The other end of a PPP link: LCP (RFC 1661) and IPCP (RFC 1332), without authentication.
 *
 * It waits for the guest's first Configure-Request, gives the guest its address and a name server,
 * refuses what it does not do (VJ compression, other network protocols), and begins anew whenever
 * the guest does. After a lost carrier it asks by itself, as an access server does, until the guest
 * answers: a guest without LCP echoes would never notice that its session is gone.
 */

import { FrameReader, packFrame } from './hdlc.mjs';
import { packAddress } from './ipv4.mjs';

const IP = 0x0021;
const LCP = 0xc021;
const IPCP = 0x8021;

const REQUEST = 1;
const ACK = 2;
const NAK = 3;
const REJECT = 4;
const TERMINATE = 5;
const TERMINATE_ACK = 6;
const CODE_REJECT = 7;
const PROTOCOL_REJECT = 8;
const ECHO = 9;
const ECHO_REPLY = 10;
const DISCARD = 11;

const MAP = 2; // LCP option: control characters to escape
const ADDRESS = 3; // IPCP options
const FIRST_DNS = 129;
/** Lengths of the LCP options that are accepted: MRU, map, magic, the two compressions. */
const LCP_LENGTHS = new Map([[1, 4], [MAP, 6], [5, 6], [7, 2], [8, 2]]);

const RESTART_NANOS = 3e9;
const HEADER = 4;

/** Return the options of a configure packet, null when their lengths do not fit. */
function parseOptions(data) {
  const options = [];
  for (let at = 0; at < data.length; ) {
    const length = data[at + 1];
    if (length === undefined || length < 2 || at + length > data.length) return null;
    options.push(data.subarray(at, at + length));
    at += length;
  }
  return options;
}

/** The state of one of the two control protocols. */
class Negotiation {
  constructor() {
    this.close();
  }

  close() {
    this.theirs = false; // we have acknowledged their options
    this.ours = false; // they have acknowledged ours
    this.asked = false;
    this.id = -1; // of our request that is not answered yet
  }

  get isOpen() {
    return this.theirs && this.ours;
  }
}

/** Speaks PPP with one guest. */
export class PppPeer {
  /**
   * @param addresses `{guest, gateway, dns}` as numbers; dns null: none is given.
   * @param clock clock of the emulator.
   * @param send called with the bytes for the line.
   * @param onPacket called with each IP packet of the guest.
   */
  constructor(addresses, clock, send, onPacket) {
    this.addresses = addresses;
    this.clock = clock;
    this._send = send;
    this._onPacket = onPacket;
    this._reader = new FrameReader((frame) => this._frame(frame));
    this._lcp = new Negotiation();
    this._ipcp = new Negotiation();
    this._restart = clock.createAlarm(() => this._ask());
    this._id = 0;
    this._escaped = 0xffffffff;
    this.stats = { frames_in: 0, frames_out: 0, connects: 0 };
    /** Called when a session that was up is no longer. */
    this.onDown = () => {};
  }

  /** Whether IP packets flow. */
  get isUp() {
    return this._lcp.isOpen && this._ipcp.isOpen;
  }

  /** Frames with a wrong check sequence or length. */
  get nBad() {
    return this._reader.nBad;
  }

  /** Take one byte of the line. */
  input(byte) {
    this._reader.input(byte);
  }

  /** Send an IP packet to the guest; without a session it is lost. */
  sendPacket(packet) {
    if (this.isUp) this._frameOut(IP, packet);
  }

  /** Forget everything without a word: the carrier is gone, or the guest was reset. */
  lose() {
    this._reader.reset();
    this._restart.cancel();
    this._down(this._lcp);
  }

  /** Ask the guest for a session until it answers. */
  begin() {
    this._ask();
  }

  /** Tell the guest that the session is over. */
  terminate() {
    this._control(LCP, TERMINATE, ++this._id, new Uint8Array());
    this.lose();
  }

  _down(negotiation) {
    const wasUp = this.isUp;
    if (negotiation === this._lcp) {
      this._lcp.close();
      this._escaped = 0xffffffff;
    }
    this._ipcp.close();
    if (wasUp) this.onDown();
  }

  _frameOut(protocol, data) {
    const content = new Uint8Array(HEADER + data.length);
    content.set([0xff, 0x03, protocol >> 8, protocol & 0xff]);
    content.set(data, HEADER);
    this.stats.frames_out++;
    this._send(packFrame(content, protocol === LCP ? 0xffffffff : this._escaped));
  }

  _control(protocol, code, id, data) {
    const length = HEADER + data.length;
    this._frameOut(protocol, [code, id & 0xff, length >> 8, length & 0xff, ...data]);
  }

  _frame(frame) {
    this.stats.frames_in++;
    let at = frame[0] === 0xff && frame[1] === 0x03 ? 2 : 0;
    let protocol = frame[at++];
    if (!(protocol & 1)) protocol = (protocol << 8) | frame[at++];
    const data = frame.subarray(at);
    if (protocol === LCP) this._configure(LCP, this._lcp, data);
    else if (!this._lcp.isOpen) return;
    else if (protocol === IPCP) this._configure(IPCP, this._ipcp, data);
    else if (protocol !== IP) this._rejectProtocol(protocol, data);
    else if (this.isUp) this._onPacket(data);
  }

  _rejectProtocol(protocol, data) {
    const said = [protocol >> 8, protocol & 0xff, ...data.subarray(0, 64)];
    this._control(LCP, PROTOCOL_REJECT, ++this._id, said);
  }

  _configure(protocol, negotiation, packet) {
    const [code, id, high, low] = packet;
    const length = (high << 8) | low;
    if (packet.length < HEADER || length < HEADER || length > packet.length) return;
    const data = packet.subarray(HEADER, length);
    if (code === REQUEST) this._requested(protocol, negotiation, id, data);
    else if (code === ACK) this._acknowledged(negotiation, id);
    else if (code === TERMINATE) this._terminated(protocol, negotiation, id);
    else if (code === ECHO && protocol === LCP) this._echoed(id, data);
    else if (code < REQUEST || code > DISCARD) {
      this._control(protocol, CODE_REJECT, ++this._id, packet.subarray(0, length));
    }
  }

  _requested(protocol, negotiation, id, data) {
    const options = parseOptions(data);
    if (options === null) return;
    if (negotiation.isOpen) this._down(negotiation); // the guest begins anew
    negotiation.theirs = false;
    const { rejected, refused } = this._judge(protocol, options);
    if (rejected.length) this._control(protocol, REJECT, id, rejected.flatMap((o) => [...o]));
    else if (refused.length) this._control(protocol, NAK, id, refused.flat());
    else {
      this._control(protocol, ACK, id, data);
      negotiation.theirs = true;
      if (protocol === LCP) this._takeMap(options);
    }
    if (!negotiation.asked) this._ask();
    this._opened(negotiation);
  }

  /** Sort options into those we do not know and those that must have another value. */
  _judge(protocol, options) {
    const rejected = [];
    const refused = [];
    for (const option of options) {
      const wanted = protocol === IPCP ? this._wanted(option[0]) : null;
      if (protocol === LCP) {
        if (LCP_LENGTHS.get(option[0]) !== option.length) rejected.push(option);
      } else if (wanted === null || option.length !== 6) {
        rejected.push(option);
      } else if (wanted.some((byte, i) => byte !== option[2 + i])) {
        refused.push([option[0], 6, ...wanted]);
      }
    }
    return { rejected, refused };
  }

  _wanted(type) {
    if (type === ADDRESS) return packAddress(this.addresses.guest);
    if (type === FIRST_DNS && this.addresses.dns !== null) return packAddress(this.addresses.dns);
    return null;
  }

  _takeMap(options) {
    const map = options.find((option) => option[0] === MAP);
    this._escaped = map ? new DataView(map.buffer, map.byteOffset).getUint32(2) : 0xffffffff;
  }

  /** Send the request of ours that is due, and again until it is answered. */
  _ask() {
    if (!this._lcp.ours) {
      this._request(LCP, this._lcp, [MAP, 6, 0, 0, 0, 0]);
    } else if (this._lcp.isOpen && !this._ipcp.ours) {
      const own = packAddress(this.addresses.gateway);
      this._request(IPCP, this._ipcp, [ADDRESS, 6, ...own]);
    }
    if (!this.isUp) this._restart.schedule(RESTART_NANOS);
  }

  _request(protocol, negotiation, options) {
    negotiation.asked = true;
    negotiation.id = ++this._id & 0xff;
    this._control(protocol, REQUEST, negotiation.id, options);
  }

  /** A NAK or a reject of ours changes nothing: each is the least without which nothing works. */
  _acknowledged(negotiation, id) {
    if (id !== negotiation.id || negotiation.ours) return;
    negotiation.ours = true;
    this._opened(negotiation);
  }

  _opened(negotiation) {
    if (negotiation === this._lcp && this._lcp.isOpen && !this._ipcp.asked) this._ask();
    if (this.isUp) {
      this._restart.cancel();
      this.stats.connects++;
    }
  }

  _terminated(protocol, negotiation, id) {
    this._control(protocol, TERMINATE_ACK, id, new Uint8Array());
    this._down(negotiation);
    if (protocol === LCP) this._restart.cancel();
  }

  _echoed(id, data) {
    if (this._lcp.isOpen && data.length >= 4) {
      this._control(LCP, ECHO_REPLY, id, [0, 0, 0, 0, ...data.subarray(4)]);
    }
  }
}
