# obkernels as a user C module of a make port: USER_C_MODULES=<repository>/lib/native
OBKERNELS_DIR := $(USERMOD_DIR)
OBKERNELS_KERNELS := $(patsubst %/obkernels,%/kernels,$(OBKERNELS_DIR))

SRC_USERMOD_C += $(OBKERNELS_DIR)/obkernels.c
SRC_USERMOD_LIB_C += $(sort $(wildcard $(OBKERNELS_KERNELS)/*.c))
CFLAGS_USERMOD += -I$(OBKERNELS_KERNELS)
