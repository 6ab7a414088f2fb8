# A second opinion on the layout: libabigail compares abi_anchor.c, compiled with the headers of today, with the dump kept
# of them. A harmless addition is reported as well as a harm, so a person decides: look at what it says, then
#   cmake -D SOURCE=<abi_anchor.c> -D ABI=<sdk/abi> -D DUMP=<abi-1.N.abi> -D WORK=<folder> -D ACCEPT=ON -P abigail.cmake
# writes the dump anew, together with a line in the changelog.
cmake_minimum_required(VERSION 3.25)
find_program(gcc gcc)
find_program(abidw abidw)
find_program(abidiff abidiff)
foreach(tool gcc abidw abidiff)
  if(NOT ${tool})
    message(NOTICE "skipped: ${tool} is not installed (Debian packages gcc, abigail-tools)")
    return()
  endif()
endforeach()
cmake_host_system_information(RESULT machine QUERY OS_PLATFORM)
if(NOT machine STREQUAL "x86_64")
  message(NOTICE "skipped: the dump is of x86_64, this machine is ${machine}")
  return()
endif()

file(MAKE_DIRECTORY ${WORK})
set(library ${WORK}/libassay_abi.so)
get_filename_component(folder ${SOURCE} DIRECTORY)
execute_process(COMMAND ${gcc} -std=c11 -g -shared -fPIC -fvisibility=hidden -Wl,-soname,libassay_abi.so
  -ffile-prefix-map=${folder}=. -ffile-prefix-map=${ABI}=sdk/abi -I${ABI} ${SOURCE} -o ${library}
  WORKING_DIRECTORY ${folder} COMMAND_ERROR_IS_FATAL ANY)
if(ACCEPT)
  execute_process(COMMAND ${abidw} --no-corpus-path --no-comp-dir-path --no-show-locs --out-file ${DUMP} ${library}
    COMMAND_ERROR_IS_FATAL ANY)
  return()
endif()
execute_process(COMMAND ${abidiff} ${DUMP} ${library} RESULT_VARIABLE status OUTPUT_VARIABLE said ERROR_VARIABLE said)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "the ABI is not that of ${DUMP}:\n${said}")
endif()
