# Included by the scripts of this folder: commands that must work, and the SDK installed to ${WORK}/sdk.
cmake_minimum_required(VERSION 3.25)
set(assay ${BUILD}/bin/assay)
# Plugins run from a place that nobody else can write to; a build folder may be any.
string(MD5 place ${WORK})
set(WORK /tmp/assay-package-${place})
set(ENV{CC} ${CC})
set(ENV{CXX} ${CXX})
# What surrounds these tests must not reach the project that they build.
unset(ENV{ASSAY_PLUGIN_PATH})

# run([IN folder] [EXPECT status] [SAYS variable] COMMAND...): fails unless the command ends with that status.
function(run)
  cmake_parse_arguments(ARG "" "IN;EXPECT;SAYS" "COMMAND" ${ARGN})
  if(NOT ARG_IN)
    set(ARG_IN ${WORK})
  endif()
  if(NOT ARG_EXPECT)
    set(ARG_EXPECT 0)
  endif()
  execute_process(COMMAND ${ARG_COMMAND} WORKING_DIRECTORY ${ARG_IN}
    RESULT_VARIABLE status OUTPUT_VARIABLE said ERROR_VARIABLE said)
  if(NOT status STREQUAL ARG_EXPECT)
    list(JOIN ARG_COMMAND " " shown)
    message(FATAL_ERROR "${shown}\nended with ${status}, expected ${ARG_EXPECT}:\n${said}")
  endif()
  if(ARG_SAYS)
    set(${ARG_SAYS} "${said}" PARENT_SCOPE)
  endif()
endfunction()

# expect(TEXT WHAT): the text stands in what was said.
function(expect text said)
  string(FIND "${said}" "${text}" at)
  if(at EQUAL -1)
    message(FATAL_ERROR "expected\n${text}\nin\n${said}")
  endif()
endfunction()

# Installs the SDK, and moves it: nothing in it may remember where it was.
function(install_sdk)
  file(REMOVE_RECURSE ${WORK})
  file(MAKE_DIRECTORY ${WORK})
  run(COMMAND ${CMAKE_COMMAND} --install ${BUILD} --prefix ${WORK}/first --component sdk)
  file(RENAME ${WORK}/first ${WORK}/sdk)
endfunction()
