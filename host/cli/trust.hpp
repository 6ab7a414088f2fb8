// What `assay plugins trust` does: shows what would be allowed, asks, writes plugins.lock. What an
// entry lets a plugin do is decided in host/loader/trust.hpp.
#pragma once

#include <filesystem>
#include <istream>
#include <ostream>

#include "host/loader/registry.hpp"

namespace assay::host {

struct TrustRequest {
  std::filesystem::path folder;
  bool allows_host = false;  ///< --isolation none
  bool is_copied = false;    ///< --copy: the bundle is placed in the user's own store first
  bool is_agreed = false;    ///< --yes: do not ask
  bool is_terminal = false;  ///< somebody is there to be asked
};

/// Where the command reads and writes.
struct TrustPlaces {
  std::filesystem::path lock;   ///< plugins.lock
  std::filesystem::path store;  ///< for copies: a folder whose subfolders are searched
  ScanSettings settings;        ///< of the search in the folder; its lock is not used
};

/// Returns the exit code: 0 allowed, 1 the answer was no, 2 it cannot be, and `err` says why.
int plugins_trust(const TrustRequest& request, const TrustPlaces& places, std::istream& in,
                  std::ostream& out, std::ostream& err);

}  // namespace assay::host
