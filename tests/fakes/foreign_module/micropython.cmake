# A C module as somebody else would bring it; tests build it into an image.
add_library(usermod_foreign INTERFACE)
target_sources(usermod_foreign INTERFACE ${CMAKE_CURRENT_LIST_DIR}/foreign.c)
target_link_libraries(usermod INTERFACE usermod_foreign)
