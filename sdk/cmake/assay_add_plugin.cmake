# assay_add_plugin(TARGET SOURCES... [CHECK ARGUMENTS...]): one plugin, TARGET.so, linked the way the ABI asks for. The
# same line builds inside this tree and against an installed SDK. Where ASSAY_EXECUTABLE is an assay, the test
# TARGET.conformance runs `assay plugins check` on it with these arguments. Nothing here says which warnings a plugin has.
include_guard(GLOBAL)

set(assay_plugin_exports ${CMAKE_CURRENT_LIST_DIR}/plugin.map)

# Linked with one of these, a library switches the process that loads it to flush-to-zero, whatever it computes itself.
function(assay_refuse_fast_math target)
  set(variables CMAKE_C_FLAGS CMAKE_CXX_FLAGS CMAKE_MODULE_LINKER_FLAGS)
  foreach(config IN LISTS CMAKE_BUILD_TYPE CMAKE_CONFIGURATION_TYPES)
    string(TOUPPER ${config} config)
    list(APPEND variables CMAKE_C_FLAGS_${config} CMAKE_CXX_FLAGS_${config} CMAKE_MODULE_LINKER_FLAGS_${config})
  endforeach()
  set(flags "")
  foreach(variable IN LISTS variables)
    set(flags "${flags} ${variable}='${${variable}}'")
  endforeach()
  foreach(property COMPILE_OPTIONS LINK_OPTIONS)
    get_target_property(options ${target} ${property})
    list(JOIN options " " options)
    set(flags "${flags} ${property}='${options}'")
  endforeach()
  if(flags MATCHES "([A-Z_]+)='[^']*(-ffast-math|-Ofast|-funsafe-math-optimizations)")
    message(FATAL_ERROR "plugin ${target}: ${CMAKE_MATCH_1} holds ${CMAKE_MATCH_2}, and a plugin linked with it changes "
      "the arithmetic of the whole process; take it out, or give it to single files with set_source_files_properties()")
  endif()
endfunction()

function(assay_add_plugin target)
  cmake_parse_arguments(PARSE_ARGV 1 ARG "" "" CHECK)
  add_library(${target} MODULE ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${target} PRIVATE assay::sdk $<TARGET_NAME_IF_EXISTS:assay_flags>)

  # One exported symbol: two plugins, or a plugin and the host, must not take over each other's functions.
  set_target_properties(${target} PROPERTIES
    PREFIX "" SUFFIX .so
    C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON
    LINK_DEPENDS ${assay_plugin_exports}
    # Beside itself first, so that a plugin may bring libraries along.
    BUILD_RPATH "$ORIGIN" INSTALL_RPATH "$ORIGIN")
  target_link_options(${target} PRIVATE
    LINKER:--version-script=${assay_plugin_exports} LINKER:--exclude-libs,ALL LINKER:--enable-new-dtags)

  # A missing symbol is an error here and not at the user's. A sanitizer's runtime is in the executable, so its symbols
  # are missing by design.
  if(NOT ASSAY_SANITIZE AND NOT ASSAY_TSAN AND NOT CMAKE_CXX_FLAGS MATCHES "-fsanitize")
    target_link_options(${target} PRIVATE LINKER:-z,defs)
  endif()

  # Unique symbols bind across RTLD_LOCAL.
  target_compile_options(${target} PRIVATE $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-fno-gnu-unique>)
  # At the end of the folder's file, when the target has all its options.
  cmake_language(EVAL CODE "cmake_language(DEFER CALL assay_refuse_fast_math [[${target}]])")

  if(ASSAY_PLUGIN_DIR)
    set_target_properties(${target} PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${ASSAY_PLUGIN_DIR})
    install(TARGETS ${target} LIBRARY DESTINATION lib/assay COMPONENT host)
  endif()
  if(ASSAY_EXECUTABLE)
    add_test(NAME ${target}.conformance
      COMMAND ${ASSAY_EXECUTABLE} plugins check $<TARGET_FILE:${target}> ${ARG_CHECK})
    set_tests_properties(${target}.conformance PROPERTIES LABELS conformance)
  endif()
endfunction()
