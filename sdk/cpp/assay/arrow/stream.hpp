// Arrow streams in both directions: made from a callable, read with errors as assay::Error. What is
// in the batches is others' business.
#pragma once

#include <assay/arrow/field.hpp>
#include <assay/arrow/holder.hpp>
#include <assay/namespace.hpp>
#include <cerrno>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace ASSAY_HIDDEN assay {
inline namespace v1 {

/// Fills the next batch, or leaves it alone and says false at the end. May throw.
using NextBatch = std::function<bool(ArrowArray* out)>;

/// Source   abi-1.0.md 2
inline int errno_of(assay_status code) {
  if (code == ASSAY_INVALID_ARGUMENT) return EINVAL;
  if (code == ASSAY_RESOURCE_EXHAUSTED) return ENOMEM;
  return EIO;
}
inline assay_status status_of_errno(int code) {
  if (code == 0) return ASSAY_OK;
  if (code == EINVAL) return ASSAY_INVALID_ARGUMENT;
  if (code == ENOMEM) return ASSAY_RESOURCE_EXHAUSTED;
  return ASSAY_UNAVAILABLE;
}

namespace detail {

struct StreamParts {
  Field table;
  NextBatch next;
  std::string last_error;
  bool is_over = false;
};

template <class Body>
int stream_call(ArrowArrayStream* stream, Body body) noexcept {
  auto& parts = *static_cast<StreamParts*>(stream->private_data);
  parts.last_error.clear();
  assay_error error{};
  error.struct_size = sizeof error;
  const assay_status status = wall(&error, [&] { body(parts); });
  if (status == ASSAY_OK) return 0;
  // What a broken stream would give next is not known.
  parts.is_over = true;
  const assay_status kept = wall(nullptr, [&] { parts.last_error = error.text; });
  return kept == ASSAY_OK ? errno_of(status) : ENOMEM;
}

inline int stream_schema(ArrowArrayStream* stream, ArrowSchema* out) noexcept {
  return stream_call(stream, [out](StreamParts& parts) { *out = make_schema(parts.table); });
}

inline int stream_next(ArrowArrayStream* stream, ArrowArray* out) noexcept {
  return stream_call(stream, [out](StreamParts& parts) {
    ArrowArray batch{};
    if (!parts.is_over) parts.is_over = !parts.next(&batch);
    *out = batch;
  });
}

inline const char* stream_last_error(ArrowArrayStream* stream) noexcept {
  const auto& parts = *static_cast<const StreamParts*>(stream->private_data);
  return parts.last_error.empty() ? nullptr : parts.last_error.c_str();
}

inline void release_stream(ArrowArrayStream* stream) noexcept {
  delete static_cast<StreamParts*>(stream->private_data);
  stream->release = nullptr;
}

}  // namespace detail

/// A stream of batches of one table. After an error or the end it gives nothing more.
///
/// Owns     the caller releases what it is given
inline ArrowArrayStream make_stream(std::vector<Field> columns, NextBatch next) {
  auto parts = std::make_unique<detail::StreamParts>();
  parts->table = table_of(std::move(columns));
  parts->next = std::move(next);
  return {detail::stream_schema, detail::stream_next, detail::stream_last_error,
          detail::release_stream, parts.release()};
}

/// What a stream's errno and last error mean. `where` goes into the Error.
inline Error stream_error(ArrowArrayStream& stream, int code, std::string where) {
  const char* text = stream.get_last_error == nullptr ? nullptr : stream.get_last_error(&stream);
  const bool has_text = text != nullptr && *text != '\0';
  return {status_of_errno(code), std::move(where),
          has_text ? text
                   : "the stream failed and left no message (errno " + std::to_string(code) + ": " +
                         std::strerror(code) + ")"};
}

/// Fails    what the stream reports; ASSAY_FAILED_PRECONDITION a schema outside the profile
inline Schema read_schema(Stream& stream, const std::string& where) {
  Schema schema;
  if (const int code = stream->get_schema(stream.get(), schema.out()); code != 0) {
    throw stream_error(*stream, code, where);
  }
  if (const auto error = profile_error(*schema)) {
    throw Error(ASSAY_FAILED_PRECONDITION, where, *error);
  }
  return schema;
}

/// The next batch, or nothing at the end.
///
/// Fails    what the stream reports
inline std::optional<Array> read_batch(Stream& stream, const std::string& where) {
  Array batch;
  if (const int code = stream->get_next(stream.get(), batch.out()); code != 0) {
    throw stream_error(*stream, code, where);
  }
  if (!batch) return std::nullopt;
  return batch;
}

}  // namespace v1
}  // namespace assay
