#include "decoder/cudnn_attention.hpp"

#include <ATen/cuda/CUDAContext.h>
#include <ATen/cudnn/Handle.h>
#include <ATen/ops/empty.h>
#include <c10/cuda/CUDAGuard.h>
#include <cudnn_frontend.h>

#include <bit>
#include <cstdint>
#include <map>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

namespace assay_torch {
namespace {

namespace fe = cudnn_frontend;

/// Of the tensors of a graph.
enum Uid : std::int64_t { kQueries = 1, kKeys, kValues, kBias, kOut };

constexpr std::int64_t kAlignment = 16;  // bytes
constexpr std::size_t kMaxGraphs = 512;

// Far below any score, and finite in float16: a row of infinities would have no maximum.
constexpr double kUnseen = -65504;

struct Call {
  at::Tensor queries, keys, values, bias, out;  ///< the bias may be undefined
  bool is_causal = false;
  double scale = 0;
};

/// Everything a graph is made for: device, dtype, flags, scale, sizes and strides.
using Key = std::vector<std::int64_t>;

Key key_of(const Call& call) {
  Key key{call.queries.device().index(), static_cast<std::int64_t>(call.queries.scalar_type()),
          call.is_causal ? 1 : 0, std::bit_cast<std::int64_t>(call.scale)};
  for (const at::Tensor* tensor : {&call.queries, &call.keys, &call.values, &call.bias}) {
    if (!tensor->defined()) continue;
    key.insert(key.end(), tensor->sizes().begin(), tensor->sizes().end());
    key.insert(key.end(), tensor->strides().begin(), tensor->strides().end());
  }
  return key;
}

bool is_aligned(const at::Tensor& tensor) {
  const std::int64_t unit = kAlignment / tensor.element_size();
  if (reinterpret_cast<std::uintptr_t>(tensor.const_data_ptr()) % kAlignment != 0) return false;
  for (std::int64_t i = 0; i + 1 < tensor.dim(); ++i) {
    if (tensor.size(i) > 1 && tensor.stride(i) % unit != 0) return false;
  }
  return tensor.stride(-1) == 1 && tensor.size(-1) % unit == 0;
}

bool is_eligible(const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& values) {
  const auto dtype = queries.scalar_type();
  return queries.is_cuda() && (dtype == at::kHalf || dtype == at::kBFloat16) &&
         queries.size(2) > 1 && is_aligned(queries) && is_aligned(keys) && is_aligned(values) &&
         at::cuda::getDeviceProperties(queries.device().index())->major >= 8;
}

/// What is seen, as something to add to the scores.
at::Tensor bias_of(const at::Tensor& seen, at::ScalarType dtype) {
  return at::empty(seen.sizes(), seen.options().dtype(dtype))
      .fill_(0)
      .masked_fill_(seen.logical_not(), kUnseen);
}

std::shared_ptr<fe::graph::Tensor_attributes> declare(fe::graph::Graph& graph, Uid uid,
                                                      const at::Tensor& tensor) {
  return graph.tensor(fe::graph::Tensor_attributes()
                          .set_uid(uid)
                          .set_dim(tensor.sizes().vec())
                          .set_stride(tensor.strides().vec()));
}

/// Null where cuDNN refuses.
std::unique_ptr<fe::graph::Graph> build(const Call& call, cudnnHandle_t handle) {
  auto graph = std::make_unique<fe::graph::Graph>();
  graph
      ->set_io_data_type(call.queries.scalar_type() == at::kHalf ? fe::DataType_t::HALF
                                                                 : fe::DataType_t::BFLOAT16)
      .set_intermediate_data_type(fe::DataType_t::FLOAT)
      .set_compute_data_type(fe::DataType_t::FLOAT);
  auto attributes = fe::graph::SDPA_attributes()
                        .set_name("attention")
                        .set_generate_stats(false)
                        .set_attn_scale(static_cast<float>(call.scale));
  if (call.is_causal) {
    attributes.set_diagonal_alignment(fe::DiagonalAlignment_t::TOP_LEFT)
        .set_diagonal_band_right_bound(0);
  }
  if (call.bias.defined()) attributes.set_bias(declare(*graph, kBias, call.bias));
  const auto [out, stats] =
      graph->sdpa(declare(*graph, kQueries, call.queries), declare(*graph, kKeys, call.keys),
                  declare(*graph, kValues, call.values), attributes);
  out->set_output(true)
      .set_uid(kOut)
      .set_dim(call.out.sizes().vec())
      .set_stride(call.out.strides().vec());
  return graph->build(handle, {fe::HeurMode_t::A}).is_good() ? std::move(graph) : nullptr;
}

/// The graph of a call, or null where cuDNN refuses: once per key and thread.
fe::graph::Graph* graph_of(const Call& call, cudnnHandle_t handle) {
  thread_local std::map<Key, std::unique_ptr<fe::graph::Graph>> graphs;
  Key key = key_of(call);
  const auto known = graphs.find(key);
  if (known != graphs.end()) return known->second.get();
  if (graphs.size() >= kMaxGraphs) graphs.clear();
  return graphs.emplace(std::move(key), build(call, handle)).first->second.get();
}

void execute(const fe::graph::Graph& graph, const Call& call, cudnnHandle_t handle) {
  std::unordered_map<std::int64_t, void*> data{{kQueries, call.queries.data_ptr()},
                                               {kKeys, call.keys.data_ptr()},
                                               {kValues, call.values.data_ptr()},
                                               {kOut, call.out.data_ptr()}};
  if (call.bias.defined()) data.emplace(kBias, call.bias.data_ptr());
  const auto workspace =
      at::empty({graph.get_workspace_size()}, call.queries.options().dtype(at::kByte));
  auto status = graph.execute(handle, data, workspace.data_ptr());
  TORCH_CHECK(status.is_good(), "cuDNN's attention over queries ", call.queries.sizes(),
              " and keys ", call.keys.sizes(), " did not run: ", status.get_message());
}

}  // namespace

std::optional<at::Tensor> cudnn_attention(const at::Tensor& queries, const at::Tensor& keys,
                                          const at::Tensor& values, const at::Tensor& seen,
                                          bool is_causal, double scale) {
  if (!is_eligible(queries, keys, values)) return std::nullopt;
  const c10::cuda::CUDAGuard guard(queries.device());
  const std::int64_t sizes[] = {queries.size(0), queries.size(2), queries.size(1), queries.size(3)};
  const Call call{.queries = queries,
                  .keys = keys,
                  .values = values,
                  .bias = seen.defined() ? bias_of(seen, queries.scalar_type()) : at::Tensor(),
                  .out = at::empty(sizes, queries.options()).transpose(1, 2),
                  .is_causal = is_causal,
                  .scale = scale};
  const cudnnHandle_t handle = at::native::getCudnnHandle();
  const fe::graph::Graph* graph = graph_of(call, handle);
  if (graph == nullptr) return std::nullopt;
  execute(*graph, call, handle);
  return call.out;
}

}  // namespace assay_torch
