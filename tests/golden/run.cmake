# Runs a manifest whose components are all those of one vendor of components.hpp, with the program itself:
#   cmake -D ASSAY=<assay> -D PLUGINS=<folder> -D VENDOR=golden-gcc-shared -D MODEL=<model folder> -D WORK=<folder>
#     [-D METRIC=typed] -P run.cmake
cmake_minimum_required(VERSION 3.25)
if(NOT METRIC)
  set(METRIC match)
endif()
file(REMOVE_RECURSE ${WORK})
file(WRITE ${WORK}/run.toml "assay = 1

[model.even]
backend = \"${VENDOR}/even\"
path    = \"${MODEL}\"

[dataset.count]
use  = \"${VENDOR}/count\"
last = 7

[task.count]
protocol       = \"generate\"
dataset        = \"count\"
prompt         = \"{{ question }}\"
target         = \"target\"
max_new_tokens = 3
metrics        = [{ use = \"${VENDOR}/${METRIC}\", first_letter = true }]

[[report]]
use = \"${VENDOR}/document\"
")
execute_process(COMMAND ${ASSAY} run ${WORK}/run.toml --out ${WORK}/out --plugin-dir ${PLUGINS} --quiet
  RESULT_VARIABLE status OUTPUT_VARIABLE said ERROR_VARIABLE said)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "assay run: ${status}\n${said}")
endif()
file(READ ${WORK}/out/document.json document)
foreach(record RANGE 10)
  string(JSON metric ERROR_VARIABLE absent GET "${document}" records ${record} metric)
  if(metric STREQUAL "match")
    string(JSON n GET "${document}" records ${record} n)
    if(NOT n EQUAL 7)
      message(FATAL_ERROR "match was taken over ${n} items, expected 7")
    endif()
    return()
  endif()
endforeach()
message(FATAL_ERROR "the report holds no record of the metric match:\n${document}")
