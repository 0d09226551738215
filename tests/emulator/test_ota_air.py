"""The real image takes a model over the air: PPP, a real broker, its app and model in a slot."""

import json
from array import array
from pathlib import Path
from random import Random

import signed_boards
from signed_boards import Vendor
from updating_process import UpdateHost, model

from formats import model as model_format
from formats.slot_state import SLOT_A
from onebyte.crossbuild import firmware
from onebyte.emulator import littlefs
from onebyte.emulator.machine import Machine
from onebyte.simulation.broker import Broker

GATEWAY = "10.0.0.1"
LIMIT_MS = 90_000.0
LEAST_FREE_BYTES = 20_000
CONFIG = {
    "tenant": "test",
    "device": "node",
    "broker_host": "broker.test",
    "policy": "all",
    "sensor": "mpu6050",
    "safe_boot_ms": 0,
    "silent_ms": 3_600_000,
    "status_interval_s": 2,
    # The broker counts the PC's seconds, the board its own.
    "keepalive_s": 3600,
}


def test_a_model_is_swapped_over_the_air(pico_ppp: firmware.Firmware, tmp_path: Path) -> None:
    vendor = Vendor(tmp_path / "vendor")
    chip = model_format.parse(signed_boards.MODEL.read_bytes())
    shape = {"channels": chip.channels, "rate_mhz": chip.rate_mhz}
    app = signed_boards.app("an app in a slot")
    first = vendor.release(1, [*app, model("zero", 0, **shape)])
    files = {"config.json": json.dumps(CONFIG).encode(), **vendor.identity()}
    files |= signed_boards.in_slot(SLOT_A, first)
    files |= signed_boards.state(active=SLOT_A, installed_seq=1)
    noise = Random(5)
    rows = tmp_path / "rows.i16"
    rows.write_bytes(array("h", (noise.randrange(-200, 200) for _ in range(30000))).tobytes())
    with Broker() as broker, UpdateHost(broker.port) as host:
        modem = {
            "names": {"broker.test": GATEWAY},
            "redirects": {f"{GATEWAY}:1883": broker.port},
            "outages": [],
        }
        sensor = {"chip": "mpu6050", "rows": str(rows)}
        image = littlefs.make_image(files)
        with Machine(pico_ppp.uf2, image, devices=[sensor], ppp=modem) as machine:
            said = ""
            is_offered = False
            n_then = 1 << 30
            while machine.emulated_ms < LIMIT_MS and len(host.decisions) < n_then + 3:
                said += machine.run_ms(100)
                host.work(0.01)
                if not is_offered and len(host.decisions) > 3:
                    is_offered = True
                    host.offer(vendor, vendor.release(2, [*app, model("two", 2, **shape)]))
                if host.said(installed_seq=2):
                    n_then = min(n_then, len(host.decisions))
            assert machine.resets == 0, "a model needs no restart"
    assert host.said(slot="b", seq=2, installed_seq=2, reason=0, refused=0), said
    assert "an app in a slot" in said
    classes = host.classes(1)
    at = classes.index(2)
    assert set(classes[:at]) == {0} and set(classes[at:]) == {2}
    assert next(n for name, n in host.metas if name == "two") <= at
    free = min(json.loads(status)["heap_free"] for status in host.statuses)
    print(f"over the air: least heap_free={free} emulated_s={machine.emulated_ms / 1000:.1f}")
    assert free > LEAST_FREE_BYTES
