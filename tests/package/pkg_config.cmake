# The plugin in plain C, built by gcc and pkg-config alone.
include(${CMAKE_CURRENT_LIST_DIR}/steps.cmake)
find_program(gcc gcc)
find_program(pkg_config NAMES pkg-config pkgconf)
if(NOT gcc OR NOT pkg_config)
  message(NOTICE "skipped: gcc or pkg-config is not installed")
  return()
endif()
install_sdk()
run(COMMAND ${assay} plugins new c acme/words --dir words)
set(ENV{PKG_CONFIG_PATH} ${WORK}/sdk/share/pkgconfig)
# The line that stands at the head of the file.
run(IN ${WORK}/words COMMAND sh -c
  "gcc -std=c11 -pedantic -Wall -Wextra -Werror -O2 -shared words.c -o acme-words.so $(pkg-config --cflags --libs assay-sdk)")
find_program(nm nm)
find_program(readelf readelf)
run(COMMAND ${CMAKE_COMMAND} -D NM=${nm} -D READELF=${readelf} -D RUNPATH=OFF -D PLUGIN=${WORK}/words/acme-words.so
  -P ${ROOT}/tests/sdk/exports.cmake)
run(COMMAND ${assay} plugins describe acme/words --plugin-dir words SAYS said)
expect("min_letters" "${said}")
