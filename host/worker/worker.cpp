#include "host/worker/worker.hpp"

#include <unistd.h>

#include <cstdio>
#include <utility>

#include "host/core/utf8.hpp"
#include "host/log/log.hpp"
#include "host/worker/serve.hpp"
#include "host/worker/wire.hpp"

namespace assay::host {
namespace {

constexpr std::chrono::milliseconds kTick{20};
constexpr std::chrono::seconds kBetweenCounts{1};
// Of drivers, by abi.h; and the worker's own that listens.
constexpr std::uint32_t kTolerated = 4 + 1;

std::string in_gib(std::uint64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f GiB", static_cast<double>(bytes) / (1u << 30));
  return text;
}

std::string in_seconds(double seconds) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g s", seconds);
  return text;
}

}  // namespace

const char* doing(Word word) {
  switch (word) {
    case Word::kScan:
    case Word::kOpen:
      return "it was opened";
    case Word::kCheckConfig:
      return "it checked its options";
    case Word::kEstimate:
      return "estimate";
    case Word::kCreate:
      return "create";
    case Word::kDestroy:
      return "destroy";
    case Word::kLoad:
      return "load";
    case Word::kQuantize:
      return "quantize";
    case Word::kRun:
    case Word::kRunText:
    case Word::kGenerate:
    case Word::kGenerateTexts:
      return "run";
    case Word::kOpenStream:
    case Word::kTake:
    case Word::kNextBatch:
    case Word::kReleaseStream:
      return "it gave rows";
    case Word::kSplits:
      return "splits";
    case Word::kUpdate:
      return "update";
    case Word::kFinish:
      return "finish";
    case Word::kTotals:
      return "totals";
    case Word::kWrite:
      return "write";
    default:
      return "a call";
  }
}

Result<std::unique_ptr<Worker>> Worker::start(const std::filesystem::path& executable,
                                              const Lease& lease) {
  WorkerEnd end;
  auto channel = Channel::create(end);
  if (!channel) return std::move(channel).error();
  auto process = Process::spawn({executable, lease.node, lease.threads, lease.device}, end);
  ::close(end.socket);
  ::close(end.memory);
  if (!process) return std::move(process).error();
  return std::unique_ptr<Worker>(new Worker(*std::move(channel), *std::move(process), lease));
}

Worker::Worker(std::unique_ptr<Channel> channel, std::unique_ptr<Process> process,
               const Lease& lease)
    : channel_(std::move(channel)),
      process_(std::move(process)),
      lease_(lease),
      listener_([this] { listen(); }) {}

Worker::~Worker() {
  // It ends itself and its group when the line does; a message could wait for ever.
  channel_->hang_up();
  process_->end(kGrace);
  listener_.join();
}

Result<std::string> Worker::ask(Word word, std::string_view head, std::string_view body,
                                const OnEvent& on_event) {
  std::uint64_t call = 0;
  {
    const std::scoped_lock hold(mutex_);
    if (death_) return *death_;
    call = next_call_++;
    pending_.emplace(call, Pending{&on_event, doing(word), std::nullopt});
  }
  // What fails here is noticed by the listener, which knows how the worker ended.
  (void)channel_->send(static_cast<std::uint32_t>(word), call, head, body).has_value();
  std::unique_lock hold(mutex_);
  Pending& pending = pending_.at(call);
  answered_.wait(hold, [&] { return pending.answer || death_; });
  std::optional<std::string> answer = std::move(pending.answer);
  pending_.erase(call);
  if (answer) return *std::move(answer);
  return *death_;
}

void Worker::tell(Word word, std::uint64_t call, std::string_view payload) {
  (void)channel_->send(static_cast<std::uint32_t>(word), call, payload).has_value();
}

void Worker::lend(const Lease& lease) {
  const std::scoped_lock hold(mutex_);
  lease_ = lease;
}

std::vector<std::string> Worker::last_lines() const {
  {
    const std::scoped_lock hold(mutex_);
    if (!death_) return {};
  }
  return process_->last_lines();
}

void Worker::listen() {
  for (;;) {
    auto message = channel_->receive(kTick);
    if (!message) return bury(obituary(message.error()));
    if (*message) {
      take(**message);
      last_sign_ = Clock::now();
    } else if (!process_->is_running()) {
      channel_->hang_up();  // what it started may hold its end of the line
    }
    if (auto why = reason_to_end()) {
      process_->end(std::chrono::milliseconds(0));
      return bury(*std::move(why));
    }
  }
}

void Worker::take(const Message& message) {
  const auto word = static_cast<Word>(message.type);
  if (word == Word::kLog || word == Word::kProgress) {
    Lease lease;
    {
      const std::scoped_lock hold(mutex_);
      lease = lease_;
    }
    WireReader in(message.payload);
    if (word == Word::kLog) {
      const auto level = in.get<assay_level>();
      const std::string line = mended_utf8(in.text());
      if (lease.on_log) {
        lease.on_log(level, line);
      } else {
        log_from_plugin(lease.node, level, line);
      }
    } else if (lease.on_progress) {
      const auto fraction = in.get<double>();
      lease.on_progress(fraction, mended_utf8(in.text()));
    }
    return;
  }
  const OnEvent* on_event = nullptr;
  {
    const std::scoped_lock hold(mutex_);
    const auto found = pending_.find(message.call);
    if (found == pending_.end() || found->second.answer) return;
    if (word == Word::kAnswer) {
      found->second.answer = std::string(message.payload);
      answered_.notify_all();
      return;
    }
    on_event = found->second.on_event;
  }
  // ask() does not return before its answer, which only this thread takes.
  if (*on_event) (*on_event)(word, message.payload);
}

std::optional<Failure> Worker::reason_to_end() {
  const auto now = Clock::now();
  if (now - last_look_ < kTick) return std::nullopt;
  last_look_ = now;
  const std::uint64_t beats = channel_->beats();
  if (beats != last_beats_) last_sign_ = now;
  last_beats_ = beats;

  const std::scoped_lock hold(mutex_);
  count_threads(now);
  if (lease_.cancelled != nullptr && *lease_.cancelled && !cancelled_at_) {
    cancelled_at_ = now;
    channel_->cancel();
  }
  if (pending_.empty()) {
    last_sign_ = now;
    return std::nullopt;
  }
  const std::string during = std::string(" during ") + pending_.begin()->second.doing;
  if (cancelled_at_ && now - *cancelled_at_ > kGrace) {
    return Failure{ASSAY_CANCELLED, "did not wind up within " + std::to_string(kGrace.count()) +
                                        " s of being cancelled" + during +
                                        ", so its process was ended"};
  }
  const double silent = std::chrono::duration<double>(now - last_sign_).count();
  if (silent > lease_.timeout_seconds) {
    return Failure{ASSAY_DEADLINE_EXCEEDED,
                   "gave no sign of life for " + in_seconds(lease_.timeout_seconds) + during +
                       ", so its process was ended; a longer timeout for " + lease_.node +
                       " lets it work on"};
  }
  if (lease_.host_bytes > 0) {
    const std::uint64_t held = process_->resident_bytes();
    if (held > lease_.host_bytes) {
      return Failure{ASSAY_RESOURCE_EXHAUSTED,
                     "held " + in_gib(held) + during + ", more than the memory_budget of " +
                         in_gib(lease_.host_bytes) + ", so its process was ended"};
    }
  }
  return std::nullopt;
}

/// Tells once of a plugin that uses more threads than it was given. Called with the lock held.
void Worker::count_threads(Clock::time_point now) {
  if (has_told_threads_ || pending_.empty() || now - last_count_ < kBetweenCounts) return;
  last_count_ = now;
  const std::uint32_t n = process_->n_threads();
  if (n <= lease_.threads + kTolerated) return;
  has_told_threads_ = true;
  log(LogLevel::kWarn, lease_.node + ": runs " + std::to_string(n - 1) +
                           " threads, more than its budget of " + std::to_string(lease_.threads) +
                           "; timings of other work beside it mean little");
}

/// How the worker ended, from what its line and its process say.
Failure Worker::obituary(const Failure& line) {
  constexpr int kTries = 25;
  for (int i = 0; i < kTries && process_->is_running(); ++i) std::this_thread::sleep_for(kTick);
  const bool went_itself = !process_->is_running();
  const Ending ending = process_->end(std::chrono::milliseconds(0));
  std::string during;
  {
    const std::scoped_lock hold(mutex_);
    if (!pending_.empty()) during = std::string(" during ") + pending_.begin()->second.doing;
  }
  if (line.code == ASSAY_INTERNAL) {
    return {ASSAY_INTERNAL, "misbehaviour: its process broke the line to assay" + during + " (" +
                                line.text + "), so it was ended"};
  }
  if (went_itself && !ending.is_signal && ending.code == kLineClosed) {
    return {ASSAY_ABORTED, "its process closed the line to assay" + during};
  }
  if (!went_itself) {
    return {ASSAY_ABORTED, "its process closed the line to assay" + during +
                               " and went on running, so it was ended"};
  }
  const auto lines = process_->last_lines();
  return {ASSAY_ABORTED, "its process " + ending.sentence + during +
                             (lines.empty() ? "" : "; it last wrote: " + lines.back())};
}

void Worker::bury(Failure why) {
  channel_->hang_up();
  const std::scoped_lock hold(mutex_);
  death_ = std::move(why);
  answered_.notify_all();
}

}  // namespace assay::host
