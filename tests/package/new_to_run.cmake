# The way of an author: install the SDK, make a project, build and test it, look at it, name it in a manifest, run that,
# and read what a wrong option says: cmake -D KIND=metric ... -P new_to_run.cmake
include(${CMAKE_CURRENT_LIST_DIR}/steps.cmake)
install_sdk()

# Nothing but headers, the package, the pkg-config file and the templates.
file(GLOB_RECURSE files RELATIVE ${WORK}/sdk ${WORK}/sdk/*)
list(FILTER files EXCLUDE REGEX "^(include/assay/|lib/cmake/assay-sdk/|share/pkgconfig/assay-sdk[.]pc$|share/assay-sdk/template/)")
if(files)
  message(FATAL_ERROR "the component sdk installs more than an SDK: ${files}")
endif()

run(COMMAND ${assay} plugins new ${KIND} acme/long-words SAYS said)
expect("cd acme-long-words" "${said}")
run(COMMAND ${assay} plugins new ${KIND} acme/long-words EXPECT 2 SAYS said)
expect("acme-long-words exists" "${said}")

set(project ${WORK}/acme-long-words)
# The suite of the program that is on the path is among the tests, where it has one.
set(ENV{PATH} "${BUILD}/bin:$ENV{PATH}")
set(ENV{ASSAY_SDK} ${WORK}/sdk)
run(COMMAND ${project}/.ci/run SAYS said)
expect("100% tests passed" "${said}")
execute_process(COMMAND ${assay} plugins check --help RESULT_VARIABLE no_suite OUTPUT_QUIET ERROR_QUIET)
if(no_suite EQUAL 0)
  expect("acme-long-words.conformance" "${said}")
endif()
run(COMMAND ${assay} plugins describe acme/long-words --plugin-dir ${project}/build SAYS said)
expect("acme/long-words" "${said}")

# One manifest with a place for each kind.
set(backend "fake/hash")
set(backend_option "vocab = 512")
set(dataset "assay/jsonl")
set(dataset_option "path = \"items.jsonl\"")
set(prompt "{{ question }}")
set(metric "assay/contains")
set(metric_option "")
set(report "")
set(report_option "")
if(KIND STREQUAL "metric" OR KIND STREQUAL "c")
  set(metric acme/long-words)
  set(metric_option ", min_letters = 2")
  set(wrong "min_letters = 2" "min_letters = 0")
  set(complaint "run.toml:18:53: min_letters must be between 1 and 100, got 0")
elseif(KIND STREQUAL "dataset")
  set(dataset acme/long-words)
  set(dataset_option "largest = 1")
  set(wrong "largest = 1" "largest = \"one\"")
  set(complaint "run.toml:10:11: largest must be a whole number")
elseif(KIND STREQUAL "backend")
  set(backend acme/long-words)
  set(backend_option "vocab = 512")
  set(wrong "vocab = 512" "vocab = 1")
  set(complaint "run.toml:6:9: vocab must be between 2 and 1048576, got 1")
else()
  set(report "[[report]]\nuse = \"acme/long-words\"")
  set(report_option "file = \"mine.json\"")
  set(wrong "file = " "fil = ")
  set(complaint "run.toml:22:1: ")
endif()
set(manifest "assay = 1

[model.mine]
backend = \"${backend}\"
path = \"${ROOT}/share/data/stories260k\"
${backend_option}

[dataset.items]
use = \"${dataset}\"
${dataset_option}

[task.items]
protocol = \"generate\"
dataset = \"items\"
prompt = \"${prompt}\"
target = \"{{ sum }}\"
max_new_tokens = 4
metrics = [{ use = \"${metric}\"${metric_option} }]

${report}
${report_option}
")
file(WRITE ${WORK}/items.jsonl "{\"question\": \"1+1=\", \"sum\": \"2\"}\n{\"question\": \"1+2=\", \"sum\": \"3\"}\n")
file(WRITE ${WORK}/run.toml "${manifest}")
set(dirs --plugin-dir ${project}/build --plugin-dir ${BUILD}/tests/fakes)
run(COMMAND ${assay} run run.toml --out out --quiet ${dirs})
file(READ ${WORK}/out/run.json document)
expect("acme/long-words" "${document}")
if(KIND STREQUAL "metric" OR KIND STREQUAL "c")
  expect("\"metric\": \"long_words\"" "${document}")
elseif(KIND STREQUAL "reporter" AND NOT EXISTS ${WORK}/out/mine.json)
  message(FATAL_ERROR "the reporter wrote nothing")
endif()

list(GET wrong 0 from)
list(GET wrong 1 to)
string(REPLACE "${from}" "${to}" manifest "${manifest}")
file(WRITE ${WORK}/run.toml "${manifest}")
run(COMMAND ${assay} check run.toml ${dirs} EXPECT 2 SAYS said)
expect("${complaint}" "${said}")
