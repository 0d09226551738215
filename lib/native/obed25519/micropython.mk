# obed25519 as a user C module of a make port: USER_C_MODULES=<repository>/lib/native
OBED25519_DIR := $(USERMOD_DIR)

SRC_USERMOD_C += $(OBED25519_DIR)/obed25519.c
SRC_USERMOD_LIB_C += $(addprefix $(OBED25519_DIR)/, ed25519.c sha512.c monocypher/monocypher.c)
