# tenon_plugin(<target> MANIFEST tenon.json SOURCES f.c... [OUTPUT name] [DEFINITIONS d...])
#
# Builds one plugin: build/plugins/<id>-<version>.so, or build/plugins/<OUTPUT>.so. It sees the public header and
# nothing else of this project, exports tenon_plugin_v1 and nothing else, and carries its manifest as an ELF
# note (owner "Tenon", type 1) that can be read without running it.
function(tenon_plugin target)
  cmake_parse_arguments(P "" "MANIFEST;OUTPUT" "SOURCES;DEFINITIONS" ${ARGN})
  get_filename_component(manifest ${P_MANIFEST} ABSOLUTE)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${manifest})
  file(READ ${manifest} json)
  if(NOT P_OUTPUT)
    string(JSON id GET "${json}" id)
    string(JSON version GET "${json}" version)
    set(P_OUTPUT ${id}-${version})
  endif()

  # The note is assembled from C, so that the object file carries the compiler's CET markings.
  set(note ${CMAKE_CURRENT_BINARY_DIR}/${target}_note.c)
  file(CONFIGURE OUTPUT ${note} @ONLY CONTENT [[
__asm__(".pushsection .note.tenon,\"a\",@note\n"
	".p2align 2\n"
	".long 6, 2f - 1f, 1\n"
	".asciz \"Tenon\"\n"
	".p2align 2\n"
	"1: .incbin \"@manifest@\"\n"
	"2: .p2align 2\n"
	".popsection\n");
extern int tenon_note_only_file_is_empty;
]])
  set_source_files_properties(${note} PROPERTIES OBJECT_DEPENDS ${manifest})

  add_library(${target} MODULE ${P_SOURCES} ${note})
  target_link_libraries(${target} PRIVATE plugin_api plugin_flags)
  target_compile_definitions(${target} PRIVATE ${P_DEFINITIONS})
  set_target_properties(${target} PROPERTIES PREFIX "" OUTPUT_NAME ${P_OUTPUT}
    LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/plugins)
endfunction()

# How a plugin is compiled: hardened as the server, position independent, no static TLS, one export, and
# never with sanitizers, which cannot live inside the sandbox.
add_library(plugin_flags INTERFACE)
target_compile_options(plugin_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror
  -fvisibility=hidden -ftls-model=global-dynamic -fno-plt
  -fstack-protector-strong -fstack-clash-protection -fcf-protection
  $<$<C_COMPILER_ID:GNU>:-ftrivial-auto-var-init=zero>
  $<$<CONFIG:Release>:-D_FORTIFY_SOURCE=3>)
target_link_options(plugin_flags INTERFACE
  -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -Wl,-z,defs -Wl,--as-needed
  -Wl,--version-script=${CMAKE_CURRENT_LIST_DIR}/plugin.map)
