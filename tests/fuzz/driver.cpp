// Runs one fuzz target without libFuzzer: the corpus as it stands, then mutations of it. The same
// seed makes the same inputs in the same order on every machine.
//
//   TARGET [--seed N] [--runs N] [--seconds S] [--max-bytes N] [--dictionary FILE] CORPUS_FOLDER
//   TARGET FILE...          runs the files once, as with libFuzzer
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <ctime>
#include <iterator>
#include <stdexcept>
#include <vector>

#include "tests/fuzz/fuzz.hpp"

namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

// A run takes milliseconds, half a second where a limit of steps ends it; this long, it hangs.
constexpr std::time_t kMaxRunSeconds = 20;

struct Settings {
  std::uint64_t seed = 1, runs = 20'000;
  double seconds = 3;
  std::size_t max_bytes = 4096;
  std::string dictionary;
  std::vector<fs::path> inputs;
};

/// Source  SplitMix64: Steele, Lea and Flood, "Fast splittable pseudorandom number generators",
/// 2014
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    std::uint64_t z = state_ += 0x9E3779B97F4A7C15U;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
    return z ^ (z >> 31);
  }
  /// Below `end`, which is at least 1.
  std::size_t below(std::size_t end) { return static_cast<std::size_t>(next() % end); }
  char byte() { return static_cast<char>(next() & 0xFF); }

 private:
  std::uint64_t state_;
};

std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error(path.string() + ": cannot be opened");
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Every file of the folder, in order of names.
std::vector<std::string> read_corpus(const fs::path& folder) {
  std::vector<fs::path> paths;
  for (const auto& entry : fs::directory_iterator(folder)) paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  std::vector<std::string> corpus;
  for (const fs::path& path : paths) corpus.push_back(read_file(path));
  if (corpus.empty()) throw std::runtime_error(folder.string() + ": no input is there");
  return corpus;
}

/// The text between the first and the last quote of a line, \\, \" and \xNN resolved.
std::string token_of(const std::string& line) {
  const std::size_t begin = line.find('"') + 1, end = line.rfind('"');
  std::string token;
  for (std::size_t i = begin; i < end; ++i) {
    if (line[i] != '\\') {
      token += line[i];
    } else if (line[++i] == 'x') {
      token += static_cast<char>(std::stoi(line.substr(i + 1, 2), nullptr, 16));
      i += 2;
    } else {
      token += line[i];
    }
  }
  return token;
}

/// Source  llvm.org/docs/LibFuzzer.html, section "Dictionaries"
std::vector<std::string> read_dictionary(const std::string& path) {
  std::vector<std::string> tokens = {"0", "-1", "9223372036854775808", "1e999", "\xEF\xBB\xBF"};
  if (path.empty()) return tokens;
  std::ifstream file(path);
  if (!file) throw std::runtime_error(path + ": cannot be opened");
  for (std::string line; std::getline(file, line);) {
    if (!line.empty() && line[0] != '#') tokens.push_back(token_of(line));
  }
  return tokens;
}

class Mutator {
 public:
  Mutator(std::vector<std::string> corpus, std::vector<std::string> tokens, std::size_t max_bytes)
      : corpus_(std::move(corpus)), tokens_(std::move(tokens)), max_bytes_(max_bytes) {}

  std::string input(std::uint64_t seed, std::uint64_t run) const {
    if (run < corpus_.size()) return corpus_[static_cast<std::size_t>(run)];
    Random random(seed * 0x100000001B3U + run);
    std::string text = any_of(corpus_, random);
    for (std::size_t left = 1 + random.below(6); left > 0; --left) mutate(text, random);
    text.resize(std::min(text.size(), max_bytes_));
    return text;
  }

 private:
  static const std::string& any_of(const std::vector<std::string>& list, Random& random) {
    return list[random.below(list.size())];
  }

  void mutate(std::string& text, Random& random) const {
    const std::size_t at = random.below(text.size() + 1);
    const std::size_t few = std::min(random.below(16) + 1, text.size() - at);
    switch (random.below(9)) {
      case 0:
        if (at < text.size()) text[at] = static_cast<char>(text[at] ^ (1 << random.below(8)));
        return;
      case 1:
        if (at < text.size()) text[at] = random.byte();
        return;
      case 2:
        text.insert(at, random.below(8) + 1, random.byte());
        return;
      case 3:
        text.insert(at, any_of(tokens_, random));
        return;
      case 4:
        text.replace(at, few, any_of(tokens_, random));
        return;
      case 5:
        text.erase(at, few);
        return;
      case 6:
        text.insert(random.below(text.size() + 1), text.substr(at, random.below(256)));
        return;
      case 7:
        splice(text, at, any_of(corpus_, random), random);
        return;
      default:
        if (random.below(4) == 0) text.resize(at);
    }
  }

  /// What stands behind `at` becomes the end of another input.
  static void splice(std::string& text, std::size_t at, const std::string& other, Random& random) {
    text.replace(at, std::string::npos, other.substr(random.below(other.size() + 1)));
  }

  std::vector<std::string> corpus_, tokens_;
  std::size_t max_bytes_;
};

/// SIGPROF ends the process after that much processor time; 0: never. A busy machine is no hang.
void limit_run(std::time_t seconds) {
  const itimerval limit{{0, 0}, {seconds, 0}};
  ::setitimer(ITIMER_PROF, &limit, nullptr);
}

void run_one(const std::string& input) {
  limit_run(kMaxRunSeconds);
  // A copy of its own, so that AddressSanitizer sees a read behind the end.
  const std::vector<std::uint8_t> exact(input.begin(), input.end());
  LLVMFuzzerTestOneInput(exact.data(), exact.size());
  limit_run(0);
}

void run_files(const std::vector<fs::path>& files) {
  for (const fs::path& file : files) run_one(read_file(file));
  std::printf("%zu inputs, nothing found\n", files.size());
}

/// Each input is in `kept` before it is run, so a crash leaves it there.
void run_mutations(const Settings& settings, const fs::path& kept) {
  const Mutator mutator(read_corpus(settings.inputs[0]), read_dictionary(settings.dictionary),
                        settings.max_bytes);
  const auto start = Clock::now();
  const std::chrono::duration<double> limit(settings.seconds);
  std::uint64_t run = 0;
  for (; run < settings.runs && Clock::now() - start < limit; ++run) {
    const std::string input = mutator.input(settings.seed, run);
    std::ofstream(kept, std::ios::binary) << input;
    run_one(input);
  }
  std::printf("seed %llu, %llu runs in %.1f s, nothing found\n",
              static_cast<unsigned long long>(settings.seed), static_cast<unsigned long long>(run),
              std::chrono::duration<double>(Clock::now() - start).count());
}

/// Runs in a child, so that whatever ends it, this process can say how to see it again.
int supervise(const Settings& settings, const std::string& program) {
  const std::string target = fs::path(program).filename().string();
  const fs::path kept = fs::absolute("found-" + target + "-" + std::to_string(::getpid()));
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child < 0) throw std::runtime_error(std::string("fork: ") + std::strerror(errno));
  if (child == 0) {
    run_mutations(settings, kept);
    std::exit(0);  // not _exit: LeakSanitizer looks for leaks at the end
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
    fs::remove(kept);
    return 0;
  }
  std::fprintf(
      stderr,
      "%s: seed %llu: the last input is in %s; to run it again: %s %s\n"
      "(a leak is found at the end: it may be any input's, and --runs halves the search)\n",
      target.c_str(), static_cast<unsigned long long>(settings.seed), kept.c_str(), program.c_str(),
      kept.c_str());
  return 1;
}

Settings parse(const std::vector<std::string>& words) {
  Settings settings;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (!words[i].starts_with("--")) {
      settings.inputs.emplace_back(words[i]);
      continue;
    }
    if (i + 1 == words.size()) throw std::runtime_error(words[i] + " needs a value");
    const std::string &key = words[i], &value = words[++i];
    if (key == "--seed")
      settings.seed = std::stoull(value);
    else if (key == "--runs")
      settings.runs = std::stoull(value);
    else if (key == "--seconds")
      settings.seconds = std::stod(value);
    else if (key == "--max-bytes")
      settings.max_bytes = std::stoull(value);
    else if (key == "--dictionary")
      settings.dictionary = value;
    else
      throw std::runtime_error("no option " + key);
  }
  if (settings.inputs.empty()) throw std::runtime_error("name a corpus folder, or files to run");
  return settings;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const Settings settings = parse({argv + 1, argv + argc});
    if (fs::is_directory(settings.inputs[0])) return supervise(settings, argv[0]);
    run_files(settings.inputs);
    return 0;
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "%s\n", failure.what());
    return 2;
  }
}
