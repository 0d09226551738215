# Included by MicroPython's ports/rp2/CMakeLists.txt.
set(PICO_BOARD "pico")
set(PICO_PLATFORM "rp2040")

# lwIP, for PPP over a UART: what a modem speaks, and the emulator.
set(MICROPY_PY_LWIP ON)

# Names of the pins, as on the official image.
set(GEN_PINS_CSV_ARG --board-csv "${MICROPY_PORT_DIR}/boards/RPI_PICO/pins.csv")

get_filename_component(MICROPY_MANIFEST_ONEBYTE "${MICROPY_BOARD_DIR}/../.." ABSOLUTE)
set(MICROPY_FROZEN_MANIFEST "${MICROPY_BOARD_DIR}/manifest.py")
