# Finds the CPU part of the torch wheel and makes assay::c10 and assay::torch_cpu. The wheel's own CMake config is
# not used: it insists on a CUDA toolkit. Sets assay_libtorch_FOUND; the caller says what happens without it.
include_guard(GLOBAL)

set(assay_libtorch_default "$ENV{ASSAY_TORCH_ROOT}")
if(NOT assay_libtorch_default)
  if(DEFINED ENV{XDG_CACHE_HOME})
    set(assay_libtorch_default "$ENV{XDG_CACHE_HOME}/assay/torch-2.11.0")
  else()
    set(assay_libtorch_default "$ENV{HOME}/.cache/assay/torch-2.11.0")
  endif()
endif()
set(ASSAY_TORCH_ROOT "${assay_libtorch_default}" CACHE PATH "Folder into which the torch wheel was unpacked (holds torch/ and nvidia/)")

set(ASSAY_TORCH_LIB_DIR "${ASSAY_TORCH_ROOT}/torch/lib")
set(assay_libtorch_FOUND FALSE)
if(EXISTS "${ASSAY_TORCH_LIB_DIR}/libtorch_cpu.so" AND EXISTS "${ASSAY_TORCH_LIB_DIR}/libc10.so"
   AND EXISTS "${ASSAY_TORCH_ROOT}/torch/include/ATen/ATen.h")
  set(assay_libtorch_FOUND TRUE)

  add_library(assay::c10 SHARED IMPORTED GLOBAL)
  set_target_properties(assay::c10 PROPERTIES
    IMPORTED_LOCATION "${ASSAY_TORCH_LIB_DIR}/libc10.so"
    INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${ASSAY_TORCH_ROOT}/torch/include"
    INTERFACE_INCLUDE_DIRECTORIES "${ASSAY_TORCH_ROOT}/torch/include")

  # The linker must not look for libtorch_cpu's own needs (cudart, cupti): the loader finds them by its rpath.
  add_library(assay::torch_cpu SHARED IMPORTED GLOBAL)
  set_target_properties(assay::torch_cpu PROPERTIES
    IMPORTED_LOCATION "${ASSAY_TORCH_LIB_DIR}/libtorch_cpu.so"
    INTERFACE_LINK_LIBRARIES assay::c10
    INTERFACE_LINK_OPTIONS "LINKER:--allow-shlib-undefined")
endif()
