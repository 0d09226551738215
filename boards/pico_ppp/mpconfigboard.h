// A Raspberry Pi Pico whose network is PPP over a UART.
#define MICROPY_HW_BOARD_NAME "Raspberry Pi Pico with PPP"

// Half of the 2 MiB of flash is for the image, half for the filesystem. MicroPython's own 1408 KiB
// of filesystem would leave the image 640 KiB, which further C modules outgrow.
#define MICROPY_HW_FLASH_STORAGE_BYTES (1024 * 1024)

#define MICROPY_PY_NETWORK 1
#define MICROPY_PY_NETWORK_PPP_LWIP 1
#define MICROPY_PY_NETWORK_HOSTNAME_DEFAULT "onebyte"
// No use for them here, and each is a way in.
#define MICROPY_PY_WEBSOCKET 0
#define MICROPY_PY_WEBREPL 0
