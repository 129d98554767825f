# Run on every build, from the source root: cmake -P cmake/CheckIncludes.cmake
# Catches what include paths cannot: climbing paths, another module's src/, and third-party headers
# outside the one module that wraps them.
set(OWNERS
  sqlite3.h=store libpq-fe.h=store
  microhttpd.h=http
  json-c/json.h=json json.h=json
  curl/curl.h=egress
  dlfcn.h=loader link.h=loader
  linux/seccomp.h=sandbox linux/landlock.h=sandbox linux/filter.h=sandbox seccomp.h=sandbox
  elf.h=elf libelf.h=elf gelf.h=elf
  sodium.h=crypto nettle/sha2.h=crypto nettle/hmac.h=crypto nettle/base64.h=crypto
  zlib.h=console)
file(GLOB_RECURSE files RELATIVE ${CMAKE_SOURCE_DIR} server/*.c server/*.h)
foreach(f IN LISTS files)
  string(REGEX REPLACE "^server/([^/]+)/.*" "\\1" module ${f})
  file(STRINGS ${f} lines REGEX "^[ \t]*#[ \t]*include")
  foreach(line IN LISTS lines)
    if(line MATCHES "\"(\\.\\./|src/)" OR line MATCHES "/src/")
      message(SEND_ERROR "${f}: climbing or private include: ${line}")
    endif()
    foreach(pair IN LISTS OWNERS)
      string(REPLACE "=" ";" pair ${pair})
      list(GET pair 0 header)
      list(GET pair 1 owner)
      string(FIND "${line}" "<${header}>" at)
      if(at GREATER -1 AND NOT module STREQUAL owner)
        message(SEND_ERROR "${f}: only server/${owner} may include <${header}>")
      endif()
    endforeach()
  endforeach()
endforeach()
