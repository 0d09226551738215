"""The emulator's parts and the images that its tests run; what is missing is said once, here."""

import os
from pathlib import Path

import pytest

from onebyte.crossbuild import firmware
from onebyte.emulator.engine import Engine, load_engine
from onebyte.errors import UserError

FOREIGN_MODULE = Path(__file__).parents[1] / "fakes" / "foreign_module"


def skip_without(error: UserError) -> None:
    """Skip with the reason, but not where everything has to be there."""
    if os.environ.get("CI") == "true":
        raise error
    pytest.skip(str(error))


@pytest.fixture(scope="session")
def engine() -> Engine:
    """Node, rp2040js and the chip's ROM."""
    try:
        return load_engine()
    except UserError as error:
        skip_without(error)
        raise


@pytest.fixture(scope="session")
def pico_ppp(engine: Engine) -> firmware.Firmware:
    """The image of the board with PPP, as `make firmware BOARD=pico_ppp` builds it."""
    try:
        return firmware.build("pico_ppp")
    except UserError as error:
        skip_without(error)
        raise


@pytest.fixture(scope="session")
def pico_foreign(engine: Engine) -> firmware.Firmware:
    """The image of a Pico with a C module of somebody else."""
    try:
        return firmware.build("pico", [FOREIGN_MODULE], firmware.BUILD / "pico-foreign")
    except UserError as error:
        skip_without(error)
        raise
