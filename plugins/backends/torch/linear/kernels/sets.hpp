// The tables of the files of one instruction set each, for kernels.cpp to choose from. Nothing here
// may be called before it is known that the machine has the set.
#pragma once

#include "linear/kernels/kernels.hpp"

namespace assay_torch {

extern const Kernels kPortableKernels;

#if defined(__x86_64__)
extern const Kernels kAvx2Kernels;
extern const Kernels kAvx512Kernels;  ///< its products of 8-bit integers are AVX2's

void multiply_int8_avx2(const Int8Tokens& x, const Int8Rows& matrix, RowRange rows, float* out,
                        std::int64_t stride);
void multiply_int8_vnni(const Int8Tokens& x, const Int8Rows& matrix, RowRange rows, float* out,
                        std::int64_t stride);
#endif

}  // namespace assay_torch
