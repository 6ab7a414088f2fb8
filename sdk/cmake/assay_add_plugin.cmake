# assay_add_plugin(TARGET SOURCES...): one plugin, TARGET.so, linked the way the ABI asks for. The same line builds
# inside this tree and against an installed SDK. Nothing here says which warnings a plugin has.
include_guard(GLOBAL)

function(assay_add_plugin target)
  add_library(${target} MODULE ${ARGN})
  target_link_libraries(${target} PRIVATE assay::sdk $<TARGET_NAME_IF_EXISTS:assay_flags>)

  # One exported symbol: two plugins, or a plugin and the host, must not take over each other's functions.
  set(exports ${CMAKE_CURRENT_BINARY_DIR}/${target}.map)
  file(CONFIGURE OUTPUT ${exports} CONTENT "{\n  global: assay_plugin_v1;\n  local: *;\n};\n" @ONLY)
  set_target_properties(${target} PROPERTIES
    PREFIX "" SUFFIX .so
    C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON
    LINK_DEPENDS ${exports}
    # Beside itself first, so that a plugin may bring libraries along.
    BUILD_RPATH "$ORIGIN" INSTALL_RPATH "$ORIGIN")
  target_link_options(${target} PRIVATE
    LINKER:--version-script=${exports} LINKER:--exclude-libs,ALL LINKER:--enable-new-dtags)

  # A missing symbol is an error here and not at the user's. A sanitizer's runtime is in the executable, so its symbols
  # are missing by design.
  if(NOT ASSAY_SANITIZE AND NOT ASSAY_TSAN AND NOT CMAKE_CXX_FLAGS MATCHES "-fsanitize")
    target_link_options(${target} PRIVATE LINKER:-z,defs)
  endif()

  # Unique symbols bind across RTLD_LOCAL. Fast math switches the whole process to flush-to-zero when it is linked.
  target_compile_options(${target} PRIVATE
    $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-fno-gnu-unique> $<$<COMPILE_LANGUAGE:C,CXX>:-fno-fast-math>)
  target_link_options(${target} PRIVATE -fno-fast-math)

  if(ASSAY_PLUGIN_DIR)
    set_target_properties(${target} PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${ASSAY_PLUGIN_DIR})
    install(TARGETS ${target} LIBRARY DESTINATION lib/assay)
  endif()
endfunction()
