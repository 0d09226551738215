/** The host's end of the USB serial port. */

const SOF_RD = 0x48;
const INTE = 0x90;
const DEV_SOF = 1 << 17;
const FRAME_NANOS = 1e6;

/**
 * A frame starts each millisecond, which the package does for a host only. MicroPython asks for
 * it after a terminal opened the port, to send what was printed before. Nobody else does, so the
 * frames start only while their interrupt is enabled.
 */
function addFrames(usb) {
  const read = usb.readUint32.bind(usb);
  const write = usb.writeUint32.bind(usb);
  const alarm = usb.rp2040.clock.createAlarm(() => {
    usb.sofFrameNumber = (usb.sofFrameNumber + 1) & 0x7ff;
    usb.intRaw |= DEV_SOF;
    usb.checkInterrupts();
    alarm.schedule(FRAME_NANOS);
  });
  usb.readUint32 = (offset) => {
    if (offset === SOF_RD) {
      usb.intRaw &= ~DEV_SOF;
      usb.checkInterrupts();
    }
    return read(offset);
  };
  usb.writeUint32 = (offset, value) => {
    write(offset, value);
    if (offset === INTE && !(usb.intEnable & DEV_SOF)) {
      alarm.cancel();
    } else if (offset === INTE && !alarm.scheduled) {
      alarm.schedule(FRAME_NANOS);
    }
  };
}

/** Bytes to and from the chip; survives its resets. */
export class UsbSerial {
  /** @param {Function} USBCDC the package's host side of a CDC device */
  constructor(USBCDC) {
    this.USBCDC = USBCDC;
    this.onData = () => {};
    this.isConnected = false;
    this.queue = [];
    this.armed = [];
    this.isStalled = false;
    this.isHeld = false;
  }

  /** Plug the cable into a chip that starts. */
  attach(mcu) {
    const usb = mcu.usbCtrl;
    const cdc = new this.USBCDC(usb);
    this.usb = usb;
    this.cdc = cdc;
    this.isConnected = false;
    this.queue = [];
    this.armed = [];
    this.isHeld = false;
    addFrames(usb);
    this.acknowledge = usb.indicateBufferReady.bind(usb);
    usb.indicateBufferReady = (endpoint, isOut) => {
      if (this.isStalled && !isOut && endpoint === cdc.inEndpoint) {
        this.isHeld = true; // the packet's buffer is not free yet
      } else {
        this.acknowledge(endpoint, isOut);
      }
    };
    const deliver = usb.onEndpointRead;
    // Without data the host is to stay silent (NAK): the package answered with an empty packet
    // every 10 us, and each of them is an interrupt.
    usb.onEndpointRead = (endpoint, size) => {
      if (endpoint === cdc.outEndpoint) {
        this.armed.push(size);
        this.pump();
      } else {
        deliver(endpoint, size);
      }
    };
    cdc.onDeviceConnected = () => {
      this.isConnected = true;
      this.pump();
    };
    cdc.onSerialData = (bytes) => this.onData(bytes);
  }

  /** The host takes nothing more from the chip, as one whose program is stopped, or takes again. */
  stall(isStalled) {
    this.isStalled = isStalled;
    if (!isStalled && this.isHeld) {
      this.isHeld = false;
      this.acknowledge(this.cdc.inEndpoint, false);
    }
  }

  /** Queue bytes for the chip. */
  send(bytes) {
    this.queue.push(...bytes);
    this.pump();
  }

  pump() {
    while (this.isConnected && this.armed.length > 0 && this.queue.length > 0) {
      const packet = this.queue.splice(0, this.armed.shift());
      this.usb.endpointReadDone(this.cdc.outEndpoint, Uint8Array.from(packet));
    }
  }
}
