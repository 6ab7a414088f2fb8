#include "host/protocol/spaces.hpp"

#include <algorithm>

namespace assay::host {
namespace {

constexpr std::string_view kSpaces[] = {" ",
                                        "\t",
                                        "\n",
                                        "\v",
                                        "\f",
                                        "\r",
                                        "\x1c",
                                        "\x1d",
                                        "\x1e",
                                        "\x1f",
                                        "\xc2\x85",
                                        "\xc2\xa0",
                                        "\xe1\x9a\x80",
                                        "\xe2\x80\x80",
                                        "\xe2\x80\x81",
                                        "\xe2\x80\x82",
                                        "\xe2\x80\x83",
                                        "\xe2\x80\x84",
                                        "\xe2\x80\x85",
                                        "\xe2\x80\x86",
                                        "\xe2\x80\x87",
                                        "\xe2\x80\x88",
                                        "\xe2\x80\x89",
                                        "\xe2\x80\x8a",
                                        "\xe2\x80\xa8",
                                        "\xe2\x80\xa9",
                                        "\xe2\x80\xaf",
                                        "\xe2\x81\x9f",
                                        "\xe3\x80\x80"};

}  // namespace

std::string_view without_trailing_spaces(std::string_view text) {
  const auto ends_with = [&](std::string_view space) { return text.ends_with(space); };
  for (;;) {
    const auto* const space = std::find_if(std::begin(kSpaces), std::end(kSpaces), ends_with);
    if (space == std::end(kSpaces)) return text;
    text.remove_suffix(space->size());
  }
}

std::string_view without_spaces_around(std::string_view text) {
  const auto starts_with = [&](std::string_view space) { return text.starts_with(space); };
  for (;;) {
    const auto* const space = std::find_if(std::begin(kSpaces), std::end(kSpaces), starts_with);
    if (space == std::end(kSpaces)) return without_trailing_spaces(text);
    text.remove_prefix(space->size());
  }
}

}  // namespace assay::host
