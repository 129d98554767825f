# unit_test(<module> [MODULES mod...] [SOURCES f...]): one CUnit program per module, from tests/unit/test_<module>.c,
# linked to that module alone, so that a unit test is a dependency test too.
function(unit_test module)
  cmake_parse_arguments(T "" "" "MODULES;SOURCES" ${ARGN})
  find_library(CUNIT cunit REQUIRED)
  add_executable(test_${module} ${CMAKE_SOURCE_DIR}/tests/unit/test_${module}.c ${T_SOURCES})
  target_include_directories(test_${module} PRIVATE ${CMAKE_SOURCE_DIR}/tests/unit)
  target_link_libraries(test_${module} PRIVATE ${module} ${T_MODULES} project_flags ${CUNIT})
  add_test(NAME unit.${module} COMMAND test_${module})
  # Seconds here; the limit leaves room for sanitizers on a machine that has other things to do.
  set_tests_properties(unit.${module} PROPERTIES TIMEOUT 120)
endfunction()
