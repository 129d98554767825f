# unit_test(<name> [OF mod] [MODULES mod...] [SOURCES f...]): a CUnit program from tests/unit/test_<name>.c, linked to the
# module of that name alone (or to that of OF), so that a unit test is a dependency test too.
function(unit_test module)
  cmake_parse_arguments(T "" "OF" "MODULES;SOURCES" ${ARGN})
  if(NOT T_OF)
    set(T_OF ${module})
  endif()
  find_library(CUNIT cunit REQUIRED)
  add_executable(test_${module} ${CMAKE_SOURCE_DIR}/tests/unit/test_${module}.c ${T_SOURCES})
  target_include_directories(test_${module} PRIVATE ${CMAKE_SOURCE_DIR}/tests/unit)
  target_link_libraries(test_${module} PRIVATE ${T_OF} ${T_MODULES} project_flags ${CUNIT})
  add_test(NAME unit.${module} COMMAND test_${module})
  # Seconds here; the limit leaves room for sanitizers on a machine that has other things to do.
  set_tests_properties(unit.${module} PROPERTIES TIMEOUT 120)
endfunction()
