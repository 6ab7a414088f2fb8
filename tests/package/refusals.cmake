# What the installed SDK refuses while a project is configured.
include(${CMAKE_CURRENT_LIST_DIR}/steps.cmake)
install_sdk()
run(COMMAND ${assay} plugins new c acme/words --dir words)

function(configure expected)
  run(COMMAND ${CMAKE_COMMAND} -S words -B build -DBUILD_TESTING=OFF -DCMAKE_PREFIX_PATH=${WORK}/sdk ${ARGN}
    EXPECT 1 SAYS said)
  string(REGEX REPLACE "[ \n]+" " " said "${said}")
  expect("${expected}" "${said}")
endfunction()
run(COMMAND ${CMAKE_COMMAND} -S words -B build -DBUILD_TESTING=OFF -DCMAKE_PREFIX_PATH=${WORK}/sdk)
configure("plugin acme-words: CMAKE_C_FLAGS holds -ffast-math, and a plugin linked with it changes the arithmetic of the whole process"
  -DCMAKE_C_FLAGS=-ffast-math)
configure("plugin acme-words: CMAKE_CXX_FLAGS_RELEASE holds -Ofast" -DCMAKE_C_FLAGS= -DCMAKE_BUILD_TYPE=Release
  "-DCMAKE_CXX_FLAGS_RELEASE=-Ofast -DNDEBUG")
configure("plugin acme-words: CMAKE_MODULE_LINKER_FLAGS holds -funsafe-math-optimizations" -DCMAKE_BUILD_TYPE=
  -DCMAKE_MODULE_LINKER_FLAGS=-funsafe-math-optimizations)
file(APPEND ${WORK}/words/CMakeLists.txt "target_compile_options(acme-words PRIVATE -O2 -ffast-math)\n")
configure("plugin acme-words: COMPILE_OPTIONS holds -ffast-math" -DCMAKE_MODULE_LINKER_FLAGS=)

file(WRITE ${WORK}/words/CMakeLists.txt "cmake_minimum_required(VERSION 3.25)\nproject(p C)\nfind_package(assay-sdk 2 CONFIG REQUIRED)\n")
configure("compatible with requested version \"2\"")
