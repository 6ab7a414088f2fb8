#include "host/worker/wire.hpp"

#include <limits>
#include <utility>

#include "host/core/utf8.hpp"

namespace assay::host {
namespace {

constexpr int kMaxDepth = 64;

template <std::size_t N>
void put_chars(WireWriter& out, const char (&text)[N]) {
  out.text(std::string_view(text, strnlen(text, N)));
}

std::uint64_t length_of(const std::int32_t* stop) {
  std::uint64_t n = 0;
  while (stop[n] >= 0) ++n;
  return n;
}

void put_sampling(WireWriter& out, const assay_sampling* sampling) {
  out.put<std::uint8_t>(sampling != nullptr);
  if (sampling == nullptr) return;
  out.put(sampling->max_new).put(sampling->min_new).put(sampling->top_k).put(sampling->temperature);
  out.put(sampling->top_p).put(sampling->seed);
  std::uint64_t n = 0;
  if (sampling->stops != nullptr) {
    while (sampling->stops[n] != nullptr) ++n;
  }
  out.put<std::uint8_t>(sampling->stops != nullptr).put(n);
  for (std::uint64_t i = 0; i < n; ++i) {
    out.array(sampling->stops[i], length_of(sampling->stops[i]));
  }
}

/// A sampling without its stops.
assay_sampling get_sampling(WireReader& in) {
  assay_sampling sampling{};
  sampling.struct_size = sizeof sampling;
  sampling.max_new = in.get<std::uint32_t>();
  sampling.min_new = in.get<std::uint32_t>();
  sampling.top_k = in.get<std::uint32_t>();
  sampling.temperature = in.get<float>();
  sampling.top_p = in.get<float>();
  sampling.seed = in.get<std::uint64_t>();
  return sampling;
}

/// Stop lists as they were sent; nothing for NULL. Each ends with -1.
std::optional<std::vector<std::vector<std::int32_t>>> get_stops(WireReader& in) {
  const bool is_given = in.get<std::uint8_t>() != 0;
  const auto n = in.get<std::uint64_t>();
  std::vector<std::vector<std::int32_t>> stops;
  for (std::uint64_t i = 0; i < n && in.is_whole(); ++i) {
    stops.push_back(in.array<std::int32_t>().value_or(std::vector<std::int32_t>()));
    stops.back().push_back(-1);
  }
  if (!is_given) return std::nullopt;
  return stops;
}

void put_value(WireWriter& out, const View& view, std::int64_t row) {
  const bool is_null = view.is_null(row);
  out.put<std::uint8_t>(is_null);
  if (is_null) return;
  switch (view.type()) {
    case Type::kBool:
      out.put<std::uint8_t>(view.boolean(row));
      return;
    case Type::kInt64:
    case Type::kInt32:
      out.put(view.integer(row));
      return;
    case Type::kFloat64:
    case Type::kFloat32:
      out.put(view.number(row));
      return;
    case Type::kText:
      out.text(view.text(row));
      return;
    case Type::kList: {
      const View elements = view.list(row);
      out.put(elements.size());
      for (std::int64_t i = 0; i < elements.size(); ++i) put_value(out, elements, i);
      return;
    }
    case Type::kStruct:
      for (std::int64_t k = 0; k < view.n_children(); ++k) put_value(out, view.child(k), row);
  }
}

/// Throws assay::Error where a value does not fit.
void get_value(WireReader& in, Builder& out) {
  if (in.get<std::uint8_t>() != 0 || !in.is_whole()) return out.append_null();
  switch (out.field().type) {
    case Type::kBool:
      return out.append_bool(in.get<std::uint8_t>() != 0);
    case Type::kInt64:
    case Type::kInt32:
      return out.append_int(in.get<std::int64_t>());
    case Type::kFloat64:
    case Type::kFloat32:
      return out.append_float(in.get<double>());
    case Type::kText:
      return out.append_text(in.text());
    case Type::kList: {
      const auto n = in.get<std::int64_t>();
      for (std::int64_t i = 0; i < n && in.is_whole(); ++i) get_value(in, out.child(0));
      return out.end_list();
    }
    case Type::kStruct:
      for (std::size_t k = 0; k < out.n_children(); ++k) get_value(in, out.child(k));
      return out.end_struct();
  }
}

std::optional<Field> get_field(WireReader& in, int depth) {
  Field field;
  field.name = in.copy();
  const auto type = in.get<std::uint8_t>();
  field.nullable = in.get<std::uint8_t>() != 0;
  const auto n = in.get<std::uint64_t>();
  if (!in.is_whole() || depth > kMaxDepth || type > static_cast<std::uint8_t>(Type::kStruct)) {
    return std::nullopt;
  }
  field.type = static_cast<Type>(type);
  if (field.type == Type::kList && n != 1) return std::nullopt;
  for (std::uint64_t i = 0; i < n; ++i) {
    auto child = get_field(in, depth + 1);
    if (!child) return std::nullopt;
    field.children.push_back(std::move(*child));
  }
  return field;
}

}  // namespace

void put_error(WireWriter& out, const assay_error& error) {
  out.put(error.code);
  put_chars(out, error.where);
  put_chars(out, error.text);
}

assay_error get_error(WireReader& in) {
  assay_error error{};
  error.struct_size = sizeof error;
  error.code = in.get<assay_status>();
  copy_text(error.where, sizeof error.where, in.text());
  copy_text(error.text, sizeof error.text, in.text());
  return error;
}

void put_failure(WireWriter& out, const Failure& failure) {
  out.put(failure.code).text(failure.text).text(failure.where);
}

Failure get_failure(WireReader& in) {
  Failure failure;
  failure.code = in.get<assay_status>();
  failure.text = mended_utf8(in.text());
  failure.where = mended_utf8(in.text());
  if (!in.is_whole() || failure.code == ASSAY_OK) failure.code = ASSAY_INTERNAL;
  return failure;
}

void put_batch(WireWriter& out, const assay_batch& batch) {
  out.put(batch.flags).put(batch.n);
  for (std::uint64_t i = 0; i < batch.n; ++i) {
    const assay_request& request = *ASSAY_REQUEST(&batch, i);
    out.put(request.id).put(request.kind).put(request.want).put(request.first);
    out.put(request.prefix_group).put(request.prefix_len);
    out.array(request.tokens, request.n_tokens);
    put_sampling(out, request.sampling);
  }
}

std::optional<WireBatch> get_batch(WireReader& in) {
  WireBatch whole;
  whole.batch.struct_size = sizeof(assay_batch);
  whole.batch.flags = in.get<std::uint32_t>();
  const auto n = in.get<std::uint64_t>();
  std::vector<bool> has_sampling, has_stops;
  for (std::uint64_t i = 0; i < n && in.is_whole(); ++i) {
    assay_request request{};
    request.id = in.get<std::uint64_t>();
    request.kind = in.get<std::int32_t>();
    request.want = in.get<std::uint32_t>();
    request.first = in.get<std::uint64_t>();
    request.prefix_group = in.get<std::uint64_t>();
    request.prefix_len = in.get<std::uint64_t>();
    whole.requests.push_back(request);
    whole.tokens_.push_back(in.array<std::int32_t>().value_or(std::vector<std::int32_t>()));
    has_sampling.push_back(in.get<std::uint8_t>() != 0);
    whole.samplings_.push_back(has_sampling.back() ? get_sampling(in) : assay_sampling{});
    std::optional<std::vector<std::vector<std::int32_t>>> stops;
    if (has_sampling.back()) stops = get_stops(in);
    has_stops.push_back(stops.has_value());
    whole.stops_.push_back(std::move(stops).value_or(std::vector<std::vector<std::int32_t>>()));
  }
  if (!in.is_whole()) return std::nullopt;
  // Pointers only now, when nothing moves any more.
  whole.stop_lists_.resize(n);
  for (std::uint64_t i = 0; i < n; ++i) {
    for (const auto& stop : whole.stops_[i]) whole.stop_lists_[i].push_back(stop.data());
    whole.stop_lists_[i].push_back(nullptr);
    whole.samplings_[i].stops = has_stops[i] ? whole.stop_lists_[i].data() : nullptr;
    whole.requests[i].tokens = whole.tokens_[i].data();
    whole.requests[i].n_tokens = whole.tokens_[i].size();
    whole.requests[i].sampling = has_sampling[i] ? &whole.samplings_[i] : nullptr;
  }
  whole.batch.n = n;
  whole.batch.stride = sizeof(assay_request);
  whole.batch.requests = whole.requests.data();
  return whole;
}

void put_messages(WireWriter& out, const assay_messages& messages) {
  out.put(messages.n);
  for (std::uint64_t i = 0; i < messages.n; ++i) {
    const auto* message = reinterpret_cast<const assay_message*>(
        reinterpret_cast<const char*>(messages.data) + i * messages.stride);
    out.text(message->role).text(message->text);
  }
}

std::vector<assay_message> get_messages(WireReader& in) {
  const auto n = in.get<std::uint64_t>();
  std::vector<assay_message> messages;
  for (std::uint64_t i = 0; i < n && in.is_whole(); ++i) {
    const std::string_view role = in.text();
    const std::string_view text = in.text();
    messages.push_back({str_of(role), str_of(text)});
  }
  return messages;
}

void put_text_batch(WireWriter& out, const assay_text_batch& batch) {
  out.put(batch.flags).put(batch.n);
  for (std::uint64_t i = 0; i < batch.n; ++i) {
    const auto& request = *reinterpret_cast<const assay_text_request*>(
        reinterpret_cast<const char*>(batch.requests) + i * batch.stride);
    out.put(request.id).put(request.kind).put(request.want);
    put_messages(out, request.messages);
    out.text(request.prompt).text(request.continuation);
    put_sampling(out, request.sampling);
    out.put(request.n_stops);
    for (std::uint64_t k = 0; k < request.n_stops; ++k) out.text(request.stops[k]);
  }
}

std::optional<WireTextBatch> get_text_batch(WireReader& from) {
  WireTextBatch whole;
  whole.bytes_ = std::string(from.rest());
  WireReader in(whole.bytes_);
  whole.batch.struct_size = sizeof(assay_text_batch);
  whole.batch.flags = in.get<std::uint32_t>();
  const auto n = in.get<std::uint64_t>();
  std::vector<bool> has_sampling;
  for (std::uint64_t i = 0; i < n && in.is_whole(); ++i) {
    assay_text_request request{};
    request.id = in.get<std::uint64_t>();
    request.kind = in.get<std::int32_t>();
    request.want = in.get<std::uint32_t>();
    whole.messages_.push_back(get_messages(in));
    request.prompt = str_of(in.text());
    request.continuation = str_of(in.text());
    has_sampling.push_back(in.get<std::uint8_t>() != 0);
    whole.samplings_.push_back(has_sampling.back() ? get_sampling(in) : assay_sampling{});
    if (has_sampling.back()) get_stops(in);  // NULL by contract
    const auto n_stops = in.get<std::uint64_t>();
    whole.stops_.emplace_back();
    for (std::uint64_t k = 0; k < n_stops && in.is_whole(); ++k) {
      whole.stops_.back().push_back(str_of(in.text()));
    }
    whole.requests.push_back(request);
  }
  if (!in.is_whole()) return std::nullopt;
  for (std::uint64_t i = 0; i < n; ++i) {
    assay_text_request& request = whole.requests[i];
    request.messages = {whole.messages_[i].data(), whole.messages_[i].size(),
                        sizeof(assay_message)};
    request.sampling = has_sampling[i] ? &whole.samplings_[i] : nullptr;
    request.stops = whole.stops_[i].data();
    request.n_stops = whole.stops_[i].size();
  }
  whole.batch.n = n;
  whole.batch.stride = sizeof(assay_text_request);
  whole.batch.requests = whole.requests.data();
  return whole;
}

void put_field(WireWriter& out, const Field& field) {
  out.text(field.name).put(static_cast<std::uint8_t>(field.type));
  out.put<std::uint8_t>(field.nullable).put<std::uint64_t>(field.children.size());
  for (const Field& child : field.children) put_field(out, child);
}

std::optional<Field> get_field(WireReader& in) { return get_field(in, 0); }

void put_rows(WireWriter& out, const ArrowSchema& schema, const ArrowArray& rows) {
  const View view(schema, rows);
  out.put(view.size());
  for (std::int64_t row = 0; row < view.size(); ++row) put_value(out, view, row);
}

std::optional<ArrowArray> get_rows(WireReader& in, const Field& table) {
  try {
    Builder builder(table);
    const auto n = in.get<std::int64_t>();
    // A table without columns has rows all the same, and they take one byte each.
    for (std::int64_t row = 0; row < n && in.is_whole(); ++row) get_value(in, builder);
    if (!in.is_whole() || n < 0) return std::nullopt;
    return builder.finish();
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace assay::host
