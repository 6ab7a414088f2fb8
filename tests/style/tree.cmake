# Checks what every file of the tree must keep: cmake -D ROOT=<source tree> -P tree.cmake
#   nothing that is true on one machine only: package registries, home folders
#   a header opens with a comment that says what belongs in it
#   a skipped test gives its reason
#   a plugin has a README.md and a test
#   no file is named after nothing

function(complain text)
  set_property(GLOBAL APPEND_STRING PROPERTY complaints "${text}\n")
endfunction()

set(registry "pypi\\.org|pythonhosted|crates\\.io|npmjs\\.|deb\\.debian\\.org|index-url|find-links")
set(machine_path "(^|[^A-Za-z0-9_.~}>)*/-])/(work|root|home|Users|mnt)(/|$|[\"' ])")

file(GLOB files RELATIVE ${ROOT} ${ROOT}/*.md ${ROOT}/*.txt ${ROOT}/*.json ${ROOT}/.clang-* ${ROOT}/.ci/*)
foreach(tree host sdk plugins manifests tests share)
  file(GLOB_RECURSE more RELATIVE ${ROOT} ${ROOT}/${tree}/*)
  list(APPEND files ${more})
endforeach()
list(SORT files)
list(FILTER files EXCLUDE REGEX "/target/|/__pycache__/|^tests/style/tree|\\.(safetensors|so|gz|zst|npz)$|^share/data/.*\\.(json|jsonl|txt)$|/tokenizer\\.json$")

foreach(file IN LISTS files)
  file(STRINGS ${ROOT}/${file} lines REGEX "${registry}|${machine_path}")
  foreach(line IN LISTS lines)
    # Cargo writes the name of the public index into its lock file.
    if(NOT (file MATCHES "Cargo\\.lock$" AND line MATCHES "^source = \"registry[+][^\"]+-index\"$"))
      string(STRIP "${line}" line)
      complain("${file}: true on one machine only: ${line}")
    endif()
  endforeach()

  if(file MATCHES "(^|/)(utils?|helpers?|common|misc|manager)[^/]*\\.(h|hpp|c|cpp)$")
    complain("${file}: is named after nothing; name it after what it holds")
  endif()
  if(file MATCHES "\\.hpp$")
    file(STRINGS ${ROOT}/${file} opening LIMIT_COUNT 1)
    if(NOT opening MATCHES "^//+ [A-Z]")
      complain("${file}: a header opens with a comment that says what belongs in it and what does not")
    endif()
  endif()
  if(file MATCHES "^tests/.*\\.cpp$")
    file(READ ${ROOT}/${file} text)
    if(text MATCHES "GTEST_SKIP\\(\\)[ \n]*;")
      complain("${file}: GTEST_SKIP() without a reason")
    endif()
  endif()
endforeach()

file(GLOB plugins RELATIVE ${ROOT} ${ROOT}/plugins/*/*/CMakeLists.txt)
foreach(plugin IN LISTS plugins)
  get_filename_component(plugin ${plugin} DIRECTORY)
  if(NOT EXISTS ${ROOT}/${plugin}/README.md)
    complain("${plugin}: has no README.md (what it is, its options, its source)")
  endif()
  file(GLOB tests ${ROOT}/tests/${plugin}_test.cpp ${ROOT}/tests/${plugin}/*_test.cpp)
  if(NOT tests)
    complain("${plugin}: has no test, neither tests/${plugin}_test.cpp nor tests/${plugin}/*_test.cpp")
  endif()
endforeach()

if(NOT EXISTS ${ROOT}/LICENSE)
  complain("LICENSE: is missing")
endif()

get_property(complaints GLOBAL PROPERTY complaints)
if(complaints)
  message(NOTICE "${complaints}")
  message(FATAL_ERROR "a file breaks a rule of the house")
endif()
