// Opens a plugin file for tests of the SDK, without the host's loader and its checks.
#pragma once

#include <assay/abi.h>
#include <dlfcn.h>

#include <stdexcept>
#include <string>

namespace assay::test {

/// The constant of a plugin, which stays loaded.
inline const assay_plugin& open_plugin(const std::string& path) {
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) throw std::runtime_error(dlerror());
  const void* constant = dlsym(library, "assay_plugin_v1");
  if (constant == nullptr) throw std::runtime_error(dlerror());
  return *static_cast<const assay_plugin*>(constant);
}

}  // namespace assay::test
