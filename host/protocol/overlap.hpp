// Does a text that a model was calibrated on say what a task asks? Exact word n-grams of both are
// compared. What is read into a calibration, and what follows from an overlap, is decided
// elsewhere.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "host/core/result.hpp"
#include "host/graph/graph.hpp"
#include "host/protocol/protocol.hpp"
#include "host/text/text.hpp"

namespace assay::host {

/// Words of an n-gram that is looked for; texts of fewer words than kGramWords are looked for by
/// runs of kShortGramWords.
constexpr std::uint64_t kGramWords = 13;
constexpr std::uint64_t kShortGramWords = 8;

/// A word as it is compared, and where it stands in its text.
struct Word {
  std::uint64_t hash = 0;
  std::size_t begin = 0, end = 0;  ///< bytes of the text
};

/// The words of a text: runs of other than white space, in lower case, of which only letters and
/// digits count, so that "Don't" and "dont" are one. What is left empty is no word. Letters of
/// scripts written without spaces (Han, kana, Thai, Lao, Myanmar, Khmer) are a word each.
///
/// Source   measurement.md b.4; letters, digits and lower case as in <assay/text.hpp>, without
///          normalisation forms
std::vector<Word> words_of(std::string_view text);

/// How much of a text was found.
struct Found {
  std::uint64_t n_grams = 0;  ///< looked for; 0 of a text without words
  std::uint64_t n_found = 0;
  std::size_t begin = 0, end = 0;  ///< bytes of the first that was found

  double share() const {
    return n_grams == 0 ? 0 : static_cast<double>(n_found) / static_cast<double>(n_grams);
  }
};

/// Appends the hashes of a document's n-grams: runs of kGramWords and of kShortGramWords words, or,
/// of a document with fewer words, all of it.
void add_grams(std::string_view document, std::vector<std::uint64_t>& hashes);

/// The n-grams of the documents of a calibration: two hashes of 64 bits for each of its words, so
/// no n-gram runs from one document into the next. Nothing that is there is missed. That any of q
/// n-grams is found by chance among n has a probability of at most q n / 2^64: 5e-8 for a million
/// of each.
///
/// Threads  [any-thread]
class WordGrams {
 public:
  WordGrams() = default;

  /// Of what add_grams() made, in any order.
  explicit WordGrams(std::vector<std::uint64_t> hashes);

  /// How many different n-grams there are.
  std::uint64_t size() const { return hashes_.size(); }

  /// Looks for the n-grams that begin with words [first, last) of a text. A text of kGramWords
  /// words or more is looked for by kGramWords, a shorter one by kShortGramWords, and one of fewer
  /// words than that is found only where it is a whole document.
  ///
  /// Source   measurement.md b.4; 8 is the least that Brown et al. 2020, appendix C, take
  Found find(std::span<const Word> words, std::size_t first, std::size_t last) const;

 private:
  std::vector<std::uint64_t> hashes_;  ///< ascending, each once
};

/// An item whose text was found.
struct ItemOverlap {
  std::uint64_t index = 0;  ///< as in the item's row
  std::uint64_t n_grams = 0;
  std::uint64_t n_found = 0;
  std::string example;  ///< the first n-gram that was found, as the item spells it
};

struct TaskOverlap {
  std::uint64_t items = 0;               ///< looked at
  std::uint64_t too_short = 0;           ///< of these, with fewer than kShortGramWords words
  std::vector<ItemOverlap> overlapping;  ///< by index
};

/// The items of a task of whose n-grams a larger share than `max_share` is in the calibration. The
/// text of an item is its question and its answer, without description and examples: the prompt and
/// the right choice or the target (of several, that which is found most), or the document. Of a
/// joined text each window has the n-grams that begin in what it scores. Memory: the items found,
/// and one item or joined text.
///
/// Units    max_share: 0 to 1; 0: any n-gram
/// Fails    a record that the task's templates cannot use, naming it; what the tokenizer reports,
///          which only a joined text needs (may be null otherwise)
Result<TaskOverlap> overlap_of(const WordGrams& calibration, const TaskSpec& task,
                               const Tokenizer* tokenizer, Records items, double max_share);

}  // namespace assay::host
