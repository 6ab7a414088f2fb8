# Finds the CPU part of the torch wheel and makes assay::c10 and assay::torch_cpu; with ASSAY_CUDA also assay::torch_cuda
# and ASSAY_CUDA_LIB_DIRS, of the wheels that share/dev/cuda unpacks. The wheel's own CMake config is not used: it insists
# on a CUDA toolkit. Sets assay_libtorch_FOUND; the caller says what happens without it.
include_guard(GLOBAL)

option(ASSAY_CUDA "Build assay/torch with CUDA devices and cuDNN's attention (share/dev/cuda brings the parts)" OFF)

set(assay_libtorch_default "$ENV{ASSAY_TORCH_ROOT}")
if(ASSAY_CUDA OR NOT assay_libtorch_default)
  if(DEFINED ENV{XDG_CACHE_HOME})
    set(assay_libtorch_default "$ENV{XDG_CACHE_HOME}/assay/torch-2.11.0")
  else()
    set(assay_libtorch_default "$ENV{HOME}/.cache/assay/torch-2.11.0")
  endif()
endif()
if(ASSAY_CUDA)
  string(APPEND assay_libtorch_default "-cuda")
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

# An option that was asked for is never left out in silence.
if(ASSAY_CUDA)
  foreach(part torch/lib/libtorch_cuda.so torch/lib/libc10_cuda.so nvidia/cu13/include/cuda_runtime_api.h
          nvidia/cudnn/lib/libcudnn.so.9 nvidia/cudnn/include/cudnn.h cudnn_frontend/include/cudnn_frontend.h)
    if(NOT EXISTS "${ASSAY_TORCH_ROOT}/${part}")
      message(FATAL_ERROR "ASSAY_CUDA=ON, but there is no ${part} in ${ASSAY_TORCH_ROOT}. "
                          "Run share/dev/cuda, or set ASSAY_TORCH_ROOT to the folder it filled.")
    endif()
  endforeach()
  set(ASSAY_CUDA_LIB_DIRS "${ASSAY_TORCH_ROOT}/nvidia/cu13/lib" "${ASSAY_TORCH_ROOT}/nvidia/cudnn/lib")

  # Nothing calls into libtorch_cuda on the way to its kernels: they register themselves when it is loaded.
  add_library(assay::torch_cuda INTERFACE IMPORTED GLOBAL)
  target_include_directories(assay::torch_cuda SYSTEM INTERFACE "${ASSAY_TORCH_ROOT}/nvidia/cu13/include"
    "${ASSAY_TORCH_ROOT}/nvidia/cudnn/include" "${ASSAY_TORCH_ROOT}/cudnn_frontend/include")
  target_compile_definitions(assay::torch_cuda INTERFACE CUDNN_FRONTEND_SKIP_JSON_LIB)
  target_link_libraries(assay::torch_cuda INTERFACE assay::torch_cpu
    "-Wl,--no-as-needed,${ASSAY_TORCH_LIB_DIR}/libtorch_cuda.so,--as-needed" "${ASSAY_TORCH_LIB_DIR}/libc10_cuda.so"
    "${ASSAY_TORCH_ROOT}/nvidia/cu13/lib/libcudart.so.13" "${ASSAY_TORCH_ROOT}/nvidia/cudnn/lib/libcudnn.so.9")
endif()
