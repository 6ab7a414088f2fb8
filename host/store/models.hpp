// Model directories kept by what they were made of: whole or absent, made once however many
// processes want them at the same time. What a digest is made of, and who makes a directory, is not
// known here.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "host/core/json.hpp"
#include "host/core/result.hpp"

namespace assay::host {

/// The right to make one directory: of all processes one has it. Given back when destroyed, and
/// when the process ends in whatever way.
class Claim {
 public:
  explicit Claim(int file) : file_(file) {}
  Claim(Claim&& other) noexcept;
  Claim& operator=(Claim&&) = delete;
  ~Claim();

 private:
  int file_;
};

/// A store: models/DIGEST are whole directories with an assay.json that says how they were made,
/// tmp/DIGEST are those in work or what a killed process left of them.
///
/// Threads  one call at a time
class ModelStore {
 public:
  /// Fails    ASSAY_UNAVAILABLE the folder cannot be made or written
  static Result<ModelStore> open(const std::filesystem::path& root);

  const std::filesystem::path& root() const { return root_; }
  std::filesystem::path path_of(const std::string& digest) const {
    return root_ / "models" / digest;
  }

  /// The assay.json of a whole directory: one whose files are all there with the sizes they had.
  std::optional<Json> find(const std::string& digest) const;

  /// Waits for other processes that make the same; `on_wait` is told once.
  ///
  /// Fails    ASSAY_CANCELLED while waiting; ASSAY_UNAVAILABLE
  Result<Claim> claim(const std::string& digest, const std::atomic<bool>& cancelled,
                      const std::function<void()>& on_wait) const;

  /// The folder to make it in; it may hold what a killed process left.
  Result<std::filesystem::path> begin(const Claim& claim, const std::string& digest) const;

  /// Takes the folder of begin() away.
  void discard(const Claim& claim, const std::string& digest) const;

  /// Gives the folder of begin() its place, with `document` as assay.json; adds the list of files
  /// to it. Everything is on the disk before it can be found.
  Result<std::filesystem::path> publish(const Claim& claim, const std::string& digest,
                                        Json document) const;

 private:
  explicit ModelStore(std::filesystem::path root) : root_(std::move(root)) {}

  std::filesystem::path root_;
};

}  // namespace assay::host
