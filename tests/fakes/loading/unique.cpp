// Has a symbol that binds across RTLD_LOCAL.
#include <assay/abi.h>

template <class T>
struct __attribute__((visibility("default"))) Counter {
  static inline int count = 0;
};

extern "C" __attribute__((visibility("default"))) int count() { return ++Counter<int>::count; }

ASSAY_NOTE("fake/unique");
