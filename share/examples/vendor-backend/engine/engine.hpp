// The vendor's own interface: it knows nothing of assay. A stand-in for a real engine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace engine {

struct Settings {
  std::uint32_t vocab = 512;
  int bits = 16;  // of a logit: 2 to 16
};

/// A loaded model. Throws std::runtime_error where the folder is none.
class Model {
 public:
  static std::unique_ptr<Model> load(const std::string& folder, const Settings& settings);

  /// Log-probabilities of every token, in nats, after `n` tokens.
  std::vector<float> after(const std::int32_t* tokens, std::size_t n) const;
  std::uint32_t vocab() const { return settings_.vocab; }
  std::uint64_t bytes() const { return std::uint64_t{settings_.vocab} * 64; }

 private:
  explicit Model(const Settings& settings) : settings_(settings) {}
  Settings settings_;
};

}  // namespace engine
