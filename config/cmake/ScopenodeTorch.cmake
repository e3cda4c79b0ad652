# One INTERFACE target for LibTorch, whatever the package names its parts.
find_package(Torch REQUIRED)
add_library(scopenode_torch INTERFACE)
target_include_directories(scopenode_torch SYSTEM INTERFACE ${TORCH_INCLUDE_DIRS})
target_link_libraries(scopenode_torch INTERFACE ${TORCH_LIBRARIES})
separate_arguments(scopenode_torch_flags UNIX_COMMAND "${TORCH_CXX_FLAGS}")
target_compile_options(scopenode_torch INTERFACE ${scopenode_torch_flags})
