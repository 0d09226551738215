// A Raspberry Pi Pico without a network.
#define MICROPY_HW_BOARD_NAME "Raspberry Pi Pico"

// Half of the 2 MiB of flash is for the image, half for the filesystem. MicroPython's own 1408 KiB
// of filesystem would leave the image 640 KiB, which further C modules outgrow.
#define MICROPY_HW_FLASH_STORAGE_BYTES (1024 * 1024)
