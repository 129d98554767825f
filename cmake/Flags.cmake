# Compiler and linker flags of everything we build: warnings, hardening, reproducibility, sanitizers.
option(TENON_SANITIZE "Build with AddressSanitizer and UndefinedBehaviorSanitizer" OFF)

# Release is -O2 -g with asserts: CMake's own default would add -DNDEBUG.
set(CMAKE_C_FLAGS_RELEASE "-O2 -g")

# No path of the build machine in a binary, and the same bytes from two builds.
add_compile_options(-ffile-prefix-map=${CMAKE_BINARY_DIR}=build -ffile-prefix-map=${CMAKE_SOURCE_DIR}=.)
add_link_options(-Wl,--build-id=sha1)

add_library(project_flags INTERFACE)
target_compile_options(project_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes
  -Wcast-qual -Wwrite-strings -Wvla -Wformat=2 -Wundef -Werror
  $<$<C_COMPILER_ID:Clang>:-Wno-gnu-zero-variadic-macro-arguments>)
target_compile_definitions(project_flags INTERFACE _GNU_SOURCE)

# Hardening, for plugins of ours as well.
add_library(hardening INTERFACE)
target_compile_options(hardening INTERFACE
  -fstack-protector-strong -fstack-clash-protection -fcf-protection
  $<$<C_COMPILER_ID:GNU>:-ftrivial-auto-var-init=zero>)
target_link_options(hardening INTERFACE -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -Wl,--as-needed)
if(TENON_SANITIZE)
  add_library(sanitizers INTERFACE)
  target_compile_options(sanitizers INTERFACE
    -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(sanitizers INTERFACE -fsanitize=address,undefined)
  target_link_libraries(project_flags INTERFACE sanitizers)
else()
  target_compile_definitions(hardening INTERFACE $<$<CONFIG:Release>:_FORTIFY_SOURCE=3>)
endif()
target_link_libraries(project_flags INTERFACE hardening)
