"""MicroPython's Wi-Fi interface as `app.link_wifi` wants it; the same for CYW43 and ESP32."""

# Errors of `status()` on the ports that have them, and how people call them.
_PROBLEMS = (
    ("STAT_WRONG_PASSWORD", "wrong password"),
    ("STAT_NO_AP_FOUND", "no access point of this name"),
    ("STAT_CONNECT_FAIL", "the access point refuses"),
)


class Radio:
    """One station interface.

    Args:
        network: the `network` module, or a test's.
        takes_channel: `connect()` of this port takes the channel; the ESP32's does not.
    """

    def __init__(self, network, takes_channel: bool):
        self._wlan = network.WLAN(network.STA_IF)
        self._takes_channel = takes_channel
        self._problems = {}
        for name, text in _PROBLEMS:
            if hasattr(network, name):
                self._problems[getattr(network, name)] = text

    def start(self) -> None:
        """Switches on."""
        self._wlan.active(True)

    def stop(self) -> None:
        """Leaves the access point and switches off."""
        if not self._wlan.active():
            return
        try:
            self._wlan.disconnect()
        except OSError:
            pass  # the ESP32 says so when it was not connected
        self._wlan.active(False)

    def scan(self, ssid: str) -> list:
        """Returns (bssid, channel, signal in dBm) of each access point of this name; waits."""
        name = ssid.encode()
        return [(found[1], found[2], found[3]) for found in self._wlan.scan() if found[0] == name]

    def connect(self, ssid: str, password: str, bssid: bytes, channel: int) -> None:
        """Begins to connect."""
        more = {"channel": channel} if self._takes_channel else {}
        self._wlan.connect(ssid, password or None, bssid=bssid, **more)

    def set_address(self, lease) -> None:
        """Takes this (address, netmask, gateway, name server); None: asks DHCP for one."""
        if lease is None:
            self._wlan.ipconfig(dhcp4=True)
        else:
            self._wlan.ifconfig(lease)

    def address(self) -> tuple:
        """Returns (address, netmask, gateway, name server)."""
        return self._wlan.ifconfig()

    def is_connected(self) -> bool:
        """Whether there is an access point and an address."""
        return self._wlan.isconnected()

    def problem(self) -> str:
        """Returns why connecting does not go on, empty while it may still succeed."""
        return self._problems.get(self._wlan.status(), "")
