#pragma once
#include <chrono>
#include <cstdint>
#include <string>

namespace scopenode {

/// Progress of long work on stderr: a bar on a terminal, else a plain line every ten seconds and at the end.
/// Not thread-safe.
class Progress {
  public:
    Progress(std::string what, std::uint64_t total);
    ~Progress();
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;
    void advance(std::uint64_t done, const std::string& note = "");
    void finish(const std::string& note = "");

  private:
    void show(const std::string& note, bool last);

    std::string what_;
    std::uint64_t total_;
    std::uint64_t done_ = 0;
    bool terminal_;
    bool finished_ = false;
    std::chrono::steady_clock::time_point shown_{};
};

}  // namespace scopenode
