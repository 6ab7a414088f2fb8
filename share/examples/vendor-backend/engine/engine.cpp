#include "engine.hpp"

#include <cmath>
#include <filesystem>
#include <stdexcept>

namespace engine {
namespace {

/// Source   Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators"
std::uint64_t mixed(std::uint64_t x) {
  x += 0x9E3779B97F4A7C15;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
  return x ^ (x >> 31);
}

}  // namespace

std::unique_ptr<Model> Model::load(const std::string& folder, const Settings& settings) {
  if (!std::filesystem::is_directory(folder)) {
    throw std::runtime_error("there is no model folder " + folder);
  }
  return std::unique_ptr<Model>(new Model(settings));
}

std::vector<float> Model::after(const std::int32_t* tokens, std::size_t n) const {
  std::uint64_t state = 0;
  for (std::size_t i = n > 2 ? n - 2 : 0; i < n; ++i) {
    state = mixed(state ^ static_cast<std::uint64_t>(tokens[i]));
  }
  const double steps = std::ldexp(1.0, settings_.bits);
  std::vector<float> logits(settings_.vocab);
  double sum = 0;
  for (std::uint32_t token = 0; token < settings_.vocab; ++token) {
    const double share =
        std::ldexp(static_cast<double>(mixed(state ^ (token * 0x10001ULL)) >> 11), -53);
    logits[token] = static_cast<float>(8 * std::round(share * steps) / steps);
    sum += std::exp(static_cast<double>(logits[token]));
  }
  const auto log_sum = static_cast<float>(std::log(sum));
  for (float& logit : logits) logit = std::fmin(logit - log_sum, 0.0F);
  return logits;
}

}  // namespace engine
