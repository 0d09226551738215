/** The host's end of the USB serial port. */

/** Bytes to and from the chip; survives its resets. */
export class UsbSerial {
  /** @param {Function} USBCDC the package's host side of a CDC device */
  constructor(USBCDC) {
    this.USBCDC = USBCDC;
    this.onData = () => {};
    this.isConnected = false;
    this.queue = [];
    this.armed = [];
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
