# Flags every target of this tree shares. Nothing here reaches the installed SDK.

set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(ASSAY_PLUGIN_DIR ${PROJECT_BINARY_DIR}/lib/assay)

option(ASSAY_SANITIZE "Build with AddressSanitizer and UndefinedBehaviorSanitizer" OFF)
option(ASSAY_TSAN "Build with ThreadSanitizer" OFF)
option(ASSAY_FUZZ "Count coverage for libFuzzer, which tests/fuzz is linked with (Clang)" OFF)
option(ASSAY_WERROR "Warnings are errors" OFF)

add_library(assay_flags INTERFACE)
target_compile_features(assay_flags INTERFACE cxx_std_20 c_std_11)
target_compile_options(assay_flags INTERFACE
  -Wall -Wextra -Wshadow -Wconversion -Wsign-conversion $<$<BOOL:${ASSAY_WERROR}>:-Werror>)
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # GCC 12 warns of these in optimized standard library code where there is nothing to warn of.
  target_compile_options(assay_flags INTERFACE $<$<CONFIG:Release,RelWithDebInfo>:-Wno-restrict -Wno-maybe-uninitialized>)
endif()
if(ASSAY_SANITIZE)
  target_compile_options(assay_flags INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
  target_link_options(assay_flags INTERFACE -fsanitize=address,undefined)
elseif(ASSAY_TSAN)
  target_compile_options(assay_flags INTERFACE -fsanitize=thread -fno-omit-frame-pointer)
  target_link_options(assay_flags INTERFACE -fsanitize=thread)
endif()

if(ASSAY_FUZZ)
  target_compile_options(assay_flags INTERFACE -fsanitize=fuzzer-no-link)
  target_link_options(assay_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

# assay_host_folder(NAME SOURCES... LINKS...): one folder of the host as a static library.
function(assay_host_folder name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS;PRIVATE_LINKS" ${ARGN})
  add_library(assay_host_${name} STATIC ${ARG_SOURCES})
  target_include_directories(assay_host_${name} PUBLIC ${PROJECT_SOURCE_DIR})
  target_link_libraries(assay_host_${name} PUBLIC assay_flags assay::sdk ${ARG_LINKS} PRIVATE ${ARG_PRIVATE_LINKS})
endfunction()
