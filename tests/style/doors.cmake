# Checks who includes whom: cmake -D ROOT=<source tree> -P doors.cmake
# Names every file and include that breaks a layer or goes around a door; share/doc/architecture.md has the reasons.

# A folder of the host may include those before it.
set(layers core log manifest loader text graph store worker protocol stats run cli)

# What an include starts with, and the one path it may be included from.
set(doors
  "nlohmann/ host/core/json.hpp"  "openssl/ host/core/"     "spdlog/ host/log/"  "fmt/ host/log/"
  "toml++/ host/manifest/"        "boost/dll host/loader/"  "pcre2 host/text/"   "zstd host/store/"  "CLI/ host/cli/"
  "torch/ plugins/backends/"      "ATen/ plugins/backends/" "c10/ plugins/backends/"
  "cuda plugins/backends/"        "cudnn plugins/backends/torch/decoder/cudnn_attention."
  "gtest/ sdk/check/"             "gmock/ sdk/check/")

function(complain why)
  set_property(GLOBAL APPEND_STRING PROPERTY complaints "${file}: includes ${include}, ${why}\n")
endfunction()

# <...>: the standard library, the system, the SDK, or a library at its door. A plugin may bring a library of its own.
function(check_angled)
  foreach(row IN LISTS doors)
    string(REPLACE " " ";" row "${row}")
    list(GET row 0 start)
    list(GET row 1 door)
    string(FIND "${target}" "${start}" at)
    if(at EQUAL 0 AND NOT (file MATCHES "^plugins/" AND NOT door MATCHES "^plugins/"))
      string(FIND "${file}" "${door}" behind)
      if(NOT behind EQUAL 0)
        complain("whose door is ${door}")
      endif()
      return()
    endif()
  endforeach()
  if(file MATCHES "^sdk/abi/" AND NOT target MATCHES "^(assay/(abi|arrow_c)\\.h|std[a-z]+\\.h)$")
    complain("but the ABI knows C and itself only")
  elseif(target MATCHES "/" AND NOT target MATCHES "^(assay|sys|linux)/" AND NOT file MATCHES "^plugins/")
    complain("which has no door; add a row to tests/style/doors.cmake")
  endif()
endfunction()

# "...": from the root for the host, from the plugin's own folder for a plugin.
function(check_quoted)
  if(file MATCHES "^host/([a-z]+)/")
    set(folder ${CMAKE_MATCH_1})
    if(NOT target MATCHES "^host/([a-z]+)/")
      complain("but the host includes only \"host/...\"")
      return()
    endif()
    set(other ${CMAKE_MATCH_1})
    list(FIND layers ${folder} here)
    list(FIND layers ${other} there)
    if(here EQUAL -1 OR there EQUAL -1)
      complain("and one of the two folders is not a layer; add it to tests/style/doors.cmake")
    elseif(there GREATER here)
      complain("but ${folder} is below ${other}")
    endif()
  elseif(file MATCHES "^(plugins/[a-z]+/[a-z0-9_-]+)/")
    if(NOT EXISTS ${ROOT}/${CMAKE_MATCH_1}/${target})
      complain("but a plugin includes only <assay/...> and its own folder")
    endif()
  else()
    complain("but the SDK includes only <assay/...>")
  endif()
endfunction()

foreach(tree host sdk plugins)
  file(GLOB_RECURSE files RELATIVE ${ROOT} ${ROOT}/${tree}/*.h ${ROOT}/${tree}/*.hpp ${ROOT}/${tree}/*.c
       ${ROOT}/${tree}/*.cpp ${ROOT}/${tree}/*.cu)
  list(FILTER files EXCLUDE REGEX "/target/|^sdk/(template|check)/.*_test\\.cpp$")
  list(SORT files)
  foreach(file IN LISTS files)
    file(STRINGS ${ROOT}/${file} lines REGEX "^[ \t]*#[ \t]*include[ \t]*[<\"]")
    foreach(line IN LISTS lines)
      string(REGEX MATCH "[<\"]([^>\"]+)[>\"]" include "${line}")
      set(target "${CMAKE_MATCH_1}")
      if(target MATCHES "(^|/)\\.\\.?/")
        complain("but includes are written from the root of their tree")
      elseif(target MATCHES "^tests/")
        complain("but nothing includes tests/")
      elseif(include MATCHES "^<")
        check_angled()
      else()
        check_quoted()
      endif()
    endforeach()
  endforeach()
endforeach()

get_property(complaints GLOBAL PROPERTY complaints)
if(complaints)
  message(NOTICE "${complaints}")
  message(FATAL_ERROR "an include breaks a layer or goes around a door")
endif()
