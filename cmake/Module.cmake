# server_module(<name> HEADERS f... SOURCES f... [PUBLIC mod...] [PRIVATE mod...] [LIBRARIES lib...])
#
# One module is one static library in server/<name>. Only the module's root is on the include path of
# its dependants. PUBLIC names the modules that its headers name, PRIVATE those that only its .c files
# use, LIBRARIES the system libraries that it alone wraps.
# A module may name only modules added before it, so the order in server/CMakeLists.txt is the layer
# diagram, and a cycle cannot be written down.
function(server_module name)
  cmake_parse_arguments(M "" "" "HEADERS;SOURCES;PUBLIC;PRIVATE;LIBRARIES" ${ARGN})
  foreach(dep IN LISTS M_PUBLIC M_PRIVATE)
    if(NOT TARGET ${dep})
      message(FATAL_ERROR "module '${name}' may not use '${dep}': it is not a lower layer")
    endif()
  endforeach()
  add_library(${name} STATIC ${M_SOURCES})
  target_sources(${name} PUBLIC FILE_SET HEADERS
    BASE_DIRS ${CMAKE_CURRENT_SOURCE_DIR} FILES ${M_HEADERS})
  target_link_libraries(${name} PUBLIC ${M_PUBLIC} PRIVATE ${M_PRIVATE} project_flags ${M_LIBRARIES})
  set_target_properties(${name} PROPERTIES VERIFY_INTERFACE_HEADER_SETS ON)
endfunction()

# server_program(<name> SOURCES f... MODULES mod...): one of the binaries of ARCHITECTURE, linked to
# exactly the modules that it names (and what those link).
function(server_program name)
  cmake_parse_arguments(P "" "" "SOURCES;MODULES" ${ARGN})
  add_executable(${name} ${P_SOURCES})
  target_link_libraries(${name} PRIVATE ${P_MODULES} project_flags)
  target_link_options(${name} PRIVATE -pie)
endfunction()
