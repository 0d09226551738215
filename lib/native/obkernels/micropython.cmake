# obkernels as a user C module of a CMake port: USER_C_MODULES=<this file>
add_library(usermod_obkernels INTERFACE)

file(GLOB OBKERNELS_KERNELS CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/../kernels/*.c)
target_sources(usermod_obkernels INTERFACE
    ${CMAKE_CURRENT_LIST_DIR}/obkernels.c
    ${OBKERNELS_KERNELS}
)
target_include_directories(usermod_obkernels INTERFACE ${CMAKE_CURRENT_LIST_DIR}/../kernels)
# The inference loop is what the module is for; the ports build for size.
set_source_files_properties(${OBKERNELS_KERNELS} PROPERTIES COMPILE_OPTIONS "-O2")

target_link_libraries(usermod INTERFACE usermod_obkernels)
