"""The fake of an ESP32's partitions and the platform over it, imported once for all tests."""

import sys

_HARDWARE = __file__.rsplit("/", 1)[0] + "/hardware"

sys.path.insert(0, _HARDWARE)
import esp32  # noqa: E402

from ota import platform_esp32  # noqa: E402

sys.path.remove(_HARDWARE)

__all__ = ["esp32", "platform_esp32"]
