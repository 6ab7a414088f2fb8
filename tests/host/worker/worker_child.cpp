// What the tests of the child process start: `worker_child worker WHAT`. It says facts about itself
// line by line and then does WHAT.
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "host/worker/process.hpp"

namespace {

using assay::host::Channel;
using assay::host::Process;

void say(const std::string& line) {
  std::fprintf(stderr, "%s\n", line.c_str());
  std::fflush(stderr);
}

[[noreturn]] void sleep_for_ever() {
  while (true) ::pause();
}

[[noreturn]] void die_of(int signal) {
  ::signal(signal, SIG_DFL);  // a sanitizer may have taken it
  ::raise(signal);
  std::abort();
}

/// A child that stays, and the line that names it.
pid_t leave_child() {
  const pid_t child = ::fork();
  if (child == 0) sleep_for_ever();
  say("child " + std::to_string(child));
  return child;
}

void say_facts() {
  say("group is own: " + std::to_string(::getpgrp() == ::getpid()));
  say("directory: " + std::filesystem::current_path().string());
  char byte = 0;
  say("bytes on standard input: " + std::to_string(::read(STDIN_FILENO, &byte, 1)));
  std::string open;
  for (int number = 0; number < 1024; ++number) {
    if (::fcntl(number, F_GETFD) >= 0) open += " " + std::to_string(number);
  }
  say("open descriptors:" + open);
  sigset_t blocked;
  ::sigprocmask(SIG_SETMASK, nullptr, &blocked);
  struct sigaction pipe {};
  ::sigaction(SIGPIPE, nullptr, &pipe);
  say("blocked: " + std::to_string(::sigismember(&blocked, SIGUSR1)) +
      ", ignored: " + std::to_string(pipe.sa_handler == SIG_IGN));
  for (char** entry = environ; *entry != nullptr; ++entry) say(*entry);
}

void answer() {
  auto channel = Channel::adopt({Process::kWorkerSocket, Process::kWorkerMemory});
  if (!channel) {
    say(channel.error().text);
    std::_Exit(9);
  }
  while (true) {
    auto message = (*channel)->receive(std::chrono::hours(1));
    if (!message || !message->has_value()) return;
    (void)(*channel)->send((*message)->type + 1, (*message)->call, (*message)->payload);
  }
}

/// A host with one worker that has a child.
void be_host() {
  assay::host::WorkerEnd end;
  auto channel = Channel::create(end);
  auto worker = Process::spawn({"/proc/self/exe", "bound_with_child"}, end);
  if (!worker) {
    say(worker.error().text);
    std::_Exit(9);
  }
  say("worker " + std::to_string((*worker)->id()));
  while ((*worker)->last_lines().empty()) std::this_thread::yield();
  say((*worker)->last_lines().front());
  sleep_for_ever();
}

const std::map<std::string, void (*)()> kDeeds = {
    {"facts", say_facts},
    {"answer", answer},
    {"be_host", be_host},
    {"exit_0", [] { std::_Exit(0); }},
    {"exit_3", [] { std::_Exit(3); }},
    {"die_of_segv", [] { die_of(SIGSEGV); }},
    {"die_of_abort", [] { die_of(SIGABRT); }},
    {"die_of_kill", [] { die_of(SIGKILL); }},
    {"sleep", [] { say("sleeps"), sleep_for_ever(); }},
    {"bound",
     [] {
       assay::host::bind_to_parent();
       say("bound");
       sleep_for_ever();
     }},
    {"bound_with_child",
     [] {
       assay::host::bind_to_parent();
       leave_child();
       sleep_for_ever();
     }},
    {"ignore_sigterm",
     [] {
       ::signal(SIGTERM, SIG_IGN);
       say("deaf");
       sleep_for_ever();
     }},
    {"exit_7_at_sigterm",
     [] {
       ::signal(SIGTERM, [](int) { std::_Exit(7); });
       say("waits");
       sleep_for_ever();
     }},
    {"leave_child", [] { leave_child(), std::_Exit(0); }},
    {"leave_child_of_other_group",
     [] {
       const pid_t child = ::fork();
       if (child == 0) sleep_for_ever();
       ::setpgid(child, child);
       say("escaped " + std::to_string(child));
       std::_Exit(0);
     }},
    {"write_to_both",
     [] {
       std::puts("to output");
       std::fflush(stdout);
       say("to error");
     }},
    {"write_without_end", [] { std::fputs("bar 1\rbar 2\r\n\nf\xff g", stderr), std::_Exit(0); }},
    {"write_a_long_line",
     [] { say(std::string(4095, 'a') + "\xc3\xa9" + std::string(8998, 'b')); }},
    {"write_many_lines",
     [] {
       for (int i = 0; i < 1000; ++i) say("line " + std::to_string(i));
     }},
    {"take_memory",
     [] {
       std::vector<char> memory(64u << 20, 'x');
       std::thread([] { sleep_for_ever(); }).detach();
       say("has it");
       sleep_for_ever();
     }},
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3 || argv[1] != std::string("worker") || kDeeds.count(argv[2]) == 0) return 99;
  kDeeds.at(argv[2])();
  return 0;
}
