# The worked examples, built against the installed SDK by themselves, and the manifest of the one run with the other.
include(${CMAKE_CURRENT_LIST_DIR}/steps.cmake)
install_sdk()
foreach(example clinic-triage vendor-backend)
  run(COMMAND ${CMAKE_COMMAND} -S ${ROOT}/share/examples/${example} -B ${example} -DCMAKE_BUILD_TYPE=Release
    -DCMAKE_PREFIX_PATH=${WORK}/sdk -DCMAKE_CXX_FLAGS=-Wall\ -Wextra\ -Werror)
  run(COMMAND ${CMAKE_COMMAND} --build ${example})
  run(COMMAND ${CMAKE_CTEST_COMMAND} --test-dir ${example} --output-on-failure --no-tests=error)
endforeach()

# The vendor's file needs no C++ runtime of the user's and shows nothing of the engine.
find_program(nm nm)
find_program(readelf readelf)
run(COMMAND ${CMAKE_COMMAND} -D NM=${nm} -D READELF=${readelf} -D PLUGIN=${WORK}/vendor-backend/acme-engine.so
  -P ${ROOT}/tests/sdk/exports.cmake)
run(COMMAND ${readelf} --wide --dynamic vendor-backend/acme-engine.so SAYS said)
if(said MATCHES "NEEDED[^\n]*(libstdc|libc\\+\\+|libgcc)")
  message(FATAL_ERROR "the vendor's plugin needs a C++ runtime:\n${said}")
endif()

set(dirs --plugin-dir clinic-triage --plugin-dir vendor-backend)
set(manifest ${ROOT}/share/examples/clinic-triage/triage.toml)
run(COMMAND ${assay} check ${manifest} ${dirs})
# The engine is a stand-in, so the gates can say nothing; what is looked at is that every figure is there.
execute_process(COMMAND ${assay} run ${manifest} --out out --quiet ${dirs} WORKING_DIRECTORY ${WORK}
  RESULT_VARIABLE status OUTPUT_VARIABLE said ERROR_VARIABLE said)
if(NOT status MATCHES "^(0|1|3)$")
  message(FATAL_ERROR "assay run ended with ${status}:\n${said}")
endif()
foreach(text "triage: generate, 40 items of cases" "by category" "agreement" "chest")
  expect("${text}" "${said}")
endforeach()
file(READ ${WORK}/out/run.json document)
foreach(metric agreement under_triage unreadable)
  expect("\"metric\": \"${metric}\"" "${document}")
endforeach()

# A wrong option is found at its place.
file(READ ${manifest} text)
string(REPLACE "bits    = 4" "bits    = 1" text "${text}")
string(REPLACE "\"../../data" "\"${ROOT}/share/data" text "${text}")
string(REPLACE "\"cases.tsv\"" "\"${ROOT}/share/examples/clinic-triage/cases.tsv\"" text "${text}")
file(WRITE ${WORK}/wrong.toml "${text}")
run(COMMAND ${assay} check wrong.toml ${dirs} EXPECT 2 SAYS said)
expect("wrong.toml:12:11: bits must be between 2 and 16, got 1" "${said}")
