#include "host/loader/config.hpp"

#include <charconv>
#include <cstdint>
#include <exception>
#include <limits>
#include <optional>

namespace assay::host {
namespace {

std::optional<std::size_t> as_index(std::string_view digits) {
  std::size_t index = 0;
  const char* end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, index);
  if (error != std::errc() || stop != end) return std::nullopt;
  return index;
}

/// The value at a dotted path below `node`. Of keys that have dots themselves the longest wins.
const Json* descend(const Json& node, std::string_view path) {
  for (std::size_t end = path.size(); end != std::string_view::npos && end > 0;
       end = path.rfind('.', end - 1)) {
    const std::string_view head = path.substr(0, end);
    const Json* child = nullptr;
    if (node.is_object()) {
      const auto found = node.find(std::string(head));
      if (found != node.end()) child = &*found;
    } else if (node.is_array()) {
      const auto index = as_index(head);
      if (index && *index < node.size()) child = &node[*index];
    }
    if (child != nullptr) {
      if (end == path.size()) return child;
      if (const Json* value = descend(*child, path.substr(end + 1))) return value;
    }
  }
  return nullptr;
}

/// Finds the key and lets `take` read the value; the one place where exceptions end.
template <class Take>
assay_status get(const assay_config* config, const char* key, const void* out,
                 Take&& take) noexcept {
  if (config == nullptr || key == nullptr || out == nullptr) return ASSAY_INVALID_ARGUMENT;
  try {
    const Json* value = find_option(*config->options, key);
    if (value == nullptr) return ASSAY_NOT_FOUND;
    return take(*value) ? ASSAY_OK : ASSAY_INVALID_ARGUMENT;
  } catch (const std::bad_alloc&) {
    return ASSAY_RESOURCE_EXHAUSTED;
  } catch (const std::exception&) {
    return ASSAY_INTERNAL;
  }
}

assay_status get_bool(const assay_config* config, const char* key, std::int32_t* out) noexcept {
  return get(config, key, out, [out](const Json& value) {
    if (!value.is_boolean()) return false;
    *out = value.get<bool>() ? 1 : 0;
    return true;
  });
}

assay_status get_int(const assay_config* config, const char* key, std::int64_t* out) noexcept {
  return get(config, key, out, [out](const Json& value) {
    if (!value.is_number_integer()) return false;
    constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    if (value.is_number_unsigned() && value.get<std::uint64_t>() > kMost) return false;
    *out = value.get<std::int64_t>();
    return true;
  });
}

assay_status get_float(const assay_config* config, const char* key, double* out) noexcept {
  return get(config, key, out, [out](const Json& value) {
    if (!value.is_number()) return false;
    *out = value.get<double>();
    return true;
  });
}

assay_status get_text(const assay_config* config, const char* key, assay_str* out) noexcept {
  return get(config, key, out, [out](const Json& value) {
    if (!value.is_string()) return false;
    const auto& text = value.get_ref<const std::string&>();
    *out = {text.data(), text.size()};
    return true;
  });
}

assay_status get_json(const assay_config* config, const char* key, assay_str* out) noexcept {
  return get(config, key, out, [config, out](const Json& value) {
    std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
    const std::scoped_lock hold(config->lock);
    const std::string& kept = config->texts.emplace_back(std::move(text));
    *out = {kept.data(), kept.size()};
    return true;
  });
}

assay_status get_count(const assay_config* config, const char* key, std::uint64_t* out) noexcept {
  return get(config, key, out, [out](const Json& value) {
    if (!value.is_array()) return false;
    *out = value.size();
    return true;
  });
}

}  // namespace

const Json* find_option(const Json& options, std::string_view key) {
  const Json* value = descend(options, key);
  return value != nullptr && !value->is_null() ? value : nullptr;
}

void set_getters(assay_host& host) {
  host.get_bool = get_bool;
  host.get_int = get_int;
  host.get_float = get_float;
  host.get_text = get_text;
  host.get_json = get_json;
  host.get_count = get_count;
}

}  // namespace assay::host
