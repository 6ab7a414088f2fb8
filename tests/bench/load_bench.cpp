// How fast a checkpoint is loaded and how much memory that takes:
//
//   load_bench weights MODEL_DIR DTYPE [THREADS]    the tensors alone, read and checked
//   load_bench plugin MODEL_DIR [OPTIONS]           assay/torch's whole load; OPTIONS as JSON
//
// The file should be in the page cache (run twice, the second counts), since this measures the
// reading and not the disk. One figure per line, `name value`.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "checkpoint/floats.hpp"
#include "checkpoint/safetensors.hpp"
#include "checkpoint/weights.hpp"
#include "tests/plugins/plugin_host.hpp"

namespace {

using assay_torch::FloatType;
using assay_torch::Weights;
using plugin_test::Json;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// A line of /proc/self/status that counts kB: "VmRSS", "VmHWM" (the peak of VmRSS).
double status_bytes(const std::string& key) {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    double kilobytes = 0;
    if (word == key + ":" && status >> kilobytes) return kilobytes * 1024;
  }
  throw std::runtime_error("/proc/self/status has no " + key);
}

/// Sizes of all tensors in their files.
double stored_bytes(const Weights& weights) {
  double bits = 0;
  for (const std::string& name : weights.names()) {
    double count = 1;
    for (const std::int64_t size : weights.shape(name)) count *= static_cast<double>(size);
    bits += count * static_cast<double>(weights.stored_bits(name));
  }
  return bits / 8;
}

void print(double file_bytes, double seconds, double memory_bytes, double rss_before) {
  const double peak = status_bytes("VmHWM") - rss_before;
  std::printf("file_bytes %.0f\nseconds %.3f\nfile_gigabytes_per_second %.2f\n", file_bytes,
              seconds, file_bytes / seconds / 1e9);
  std::printf("weight_bytes %.0f\npeak_bytes %.0f\npeak_over_weights %.3f\n", memory_bytes, peak,
              peak / memory_bytes);
}

FloatType float_type(const std::string& name) {
  for (const FloatType type : {FloatType::kFloat32, FloatType::kBfloat16, FloatType::kFloat16}) {
    if (name == assay_torch::to_string(type)) return type;
  }
  throw std::runtime_error("DTYPE is float32, bfloat16 or float16, got " + name);
}

void measure_weights(const std::string& model_dir, FloatType type, std::uint32_t threads) {
  const double rss_before = status_bytes("VmRSS");
  const auto start = Clock::now();
  const Weights weights(model_dir, threads);
  std::vector<std::unique_ptr<std::byte[]>> kept;
  double memory_bytes = 0;
  for (const std::string& name : weights.names()) {
    const auto& shape = weights.shape(name);
    std::size_t bytes = size_bytes(type);
    for (const std::int64_t size : shape) bytes *= static_cast<std::size_t>(size);
    kept.push_back(std::make_unique_for_overwrite<std::byte[]>(bytes));
    weights.read_into(name, shape, type, {kept.back().get(), bytes});
    memory_bytes += static_cast<double>(bytes);
  }
  print(stored_bytes(weights), seconds_since(start), memory_bytes, rss_before);
}

void measure_plugin(const std::string& model_dir, const Json& options) {
  plugin_test::Component component("assay/torch");
  if (const auto said = component.create(options); !said.is_ok()) {
    throw std::runtime_error(said.where + ": " + said.text);
  }
  assay_job job{};
  job.struct_size = sizeof job;
  job.want = ASSAY_CAP_SCORE;
  job.model_dir = {model_dir.data(), model_dir.size()};
  assay_model_info model{};
  model.struct_size = sizeof model;
  assay_error error{};
  error.struct_size = sizeof error;
  const double rss_before = status_bytes("VmRSS");
  const auto start = Clock::now();
  if (component.api<assay_backend_v1>().load(component.self(), &job, &model, &error) != ASSAY_OK) {
    throw std::runtime_error(error.text);
  }
  const double seconds = seconds_since(start);
  const std::string dtype = options.value("dtype", "float32");
  const Weights weights(model_dir);
  print(stored_bytes(weights), seconds,
        static_cast<double>(weights.values() * size_bytes(float_type(dtype))), rss_before);
}

int run(const std::vector<std::string>& words) {
  if (words.size() >= 3 && words[0] == "weights") {
    const unsigned long threads = words.size() > 3 ? std::stoul(words[3]) : 1;
    measure_weights(words[1], float_type(words[2]), static_cast<std::uint32_t>(threads));
    return 0;
  }
  if (words.size() >= 2 && words[0] == "plugin") {
    measure_plugin(words[1], words.size() > 2 ? Json::parse(words[2]) : Json::object());
    return 0;
  }
  std::fputs("usage: load_bench weights MODEL_DIR DTYPE [THREADS] | plugin MODEL_DIR [OPTIONS]\n",
             stderr);
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run({argv + 1, argv + argc});
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "load_bench: %s\n", failure.what());
    return 1;
  }
}
