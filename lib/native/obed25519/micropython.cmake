# obed25519 as a user C module of a CMake port: USER_C_MODULES=<this file>
add_library(usermod_obed25519 INTERFACE)

set(OBED25519_ARITHMETIC
    ${CMAKE_CURRENT_LIST_DIR}/ed25519.c
    ${CMAKE_CURRENT_LIST_DIR}/sha512.c
    ${CMAKE_CURRENT_LIST_DIR}/monocypher/monocypher.c
)
target_sources(usermod_obed25519 INTERFACE
    ${CMAKE_CURRENT_LIST_DIR}/obed25519.c
    ${OBED25519_ARITHMETIC}
)
# As in the native module; the ports build for size.
set_source_files_properties(${OBED25519_ARITHMETIC} PROPERTIES COMPILE_OPTIONS "-O2")

target_link_libraries(usermod INTERFACE usermod_obed25519)
