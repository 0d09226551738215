# What the native modules' Makefiles share; they set MOD, SRC, VPATH, HEADERS and CFLAGS_EXTRA.
# The result is $(BUILD)/<MOD>.mpy.
# ARCH: x64 x86 armv6m armv7m armv7emsp armv7emdp xtensawin rv32imc. PYTHON needs pyelftools.

# Before the include: dynruntime.mk would leave its result beside the sources, one for all archs.
.PHONY: natmod
natmod: $(BUILD)/$(MOD).mpy

# The modules bring no memset of their own, so loops must stay loops.
override CFLAGS_EXTRA += -std=gnu99 -O2 -fno-tree-loop-distribute-patterns

# The Cortex-M0+ has no instruction to divide, none to jump through a table and none for a long
# product: libgcc's routines do it with integers only (PYTHON needs ar). No other architecture
# needs a helper.
ifeq ($(ARCH),armv6m)
LINK_RUNTIME ?= 1
endif

# A call reaches half a megabyte only; the .mpy may be loaded farther from what it calls.
ifeq ($(ARCH),xtensawin)
override CFLAGS_EXTRA += -mlongcalls
endif

include $(MPY_DIR)/py/dynruntime.mk

# The linker has faults; link.py says which and repairs them. Without a fixed seed of its hashes it
# takes libgcc's routines in another order every time.
MPY_LD = PYTHONHASHSEED=0 $(PYTHON) $(TOP)/host_tools/onebyte/crossbuild/link.py $(MPY_DIR)/tools

$(SRC_O): $(HEADERS)

$(BUILD)/$(MOD).mpy: $(BUILD)/$(MOD).native.mpy
	$(Q)cp $< $@
