"""Chooses the platform of updates by the port of MicroPython."""

import sys

if sys.platform == "rp2":
    from ota.platform_rp2040 import Platform
elif sys.platform == "esp32":
    from ota.platform_esp32 import Platform
else:
    from ota.platform_unix import Platform

__all__ = ["Platform"]
