#include "linear/kernels/kernels.hpp"

#include "linear/kernels/sets.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace assay_torch {

FieldPlaces stream_places(int bits) {
  FieldPlaces places;
  for (int i = 0; i < 16; ++i) {
    const int at = i * bits;
    places.word[i] = at / 32;
    places.next_word[i] = at / 32 + 1;
    places.right[i] = at % 32;
    places.left[i] = 32 - at % 32;
  }
  places.mask = (1 << bits) - 1;
  places.crosses_words = 32 % bits != 0;
  return places;
}

FieldPlaces high_first_places() {
  FieldPlaces places = stream_places(4);
  for (std::int32_t& right : places.right) right ^= 4;
  return places;
}

const char* to_string(InstructionSet set) {
  switch (set) {
    case InstructionSet::kPortable:
      return "portable";
    case InstructionSet::kAvx2:
      return "AVX2";
    case InstructionSet::kAvx512:
      return "AVX-512";
    default:
      return "AVX-512 VNNI";
  }
}

#if defined(__x86_64__)

const Kernels* kernels_for(InstructionSet set) {
  static const Kernels vnni = {to_string(InstructionSet::kAvx512Vnni), kAvx512Kernels.dequantize,
                               kAvx512Kernels.multiply, multiply_int8_vnni};
  // These ask the processor, and the system whether it saves the registers.
  const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                        __builtin_cpu_supports("f16c");
  const bool has_avx512 = has_avx2 && __builtin_cpu_supports("avx512f") &&
                          __builtin_cpu_supports("avx512bw") &&
                          __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  switch (set) {
    case InstructionSet::kPortable:
      return &kPortableKernels;
    case InstructionSet::kAvx2:
      return has_avx2 ? &kAvx2Kernels : nullptr;
    case InstructionSet::kAvx512:
      return has_avx512 ? &kAvx512Kernels : nullptr;
    default:
      return has_avx512 && __builtin_cpu_supports("avx512vnni") ? &vnni : nullptr;
  }
}

bool has_int8_tiles() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  constexpr unsigned kAmxInt8 = 1U << 25;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d & kAmxInt8) != 0;
}

#else

const Kernels* kernels_for(InstructionSet set) {
  return set == InstructionSet::kPortable ? &kPortableKernels : nullptr;
}

bool has_int8_tiles() { return false; }

#endif

const Kernels& fastest_kernels() {
  const Kernels* fastest = &kPortableKernels;
  for (const InstructionSet set : kInstructionSets) {
    if (const Kernels* kernels = kernels_for(set)) fastest = kernels;
  }
  return *fastest;
}

}  // namespace assay_torch
