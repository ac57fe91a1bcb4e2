#include "lockd/evs_trace.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <string_view>
#include <system_error>
#include <utility>
#include <variant>

#include "base/check.h"

namespace lockd {

namespace {

// So much is gathered at most.
constexpr std::size_t kUnwrittenMax = 256 * 1024;

// The states have the same length: one takes the other's place on a disk that has no more room.
constexpr std::string_view kBegin = "begin 1 ";
constexpr std::string_view kWhole = "whole";
constexpr std::string_view kHoled = "holed";
static_assert(kWhole.size() == kHoled.size());

std::string reason(int code) {
  return std::generic_category().message(code);
}

std::string hexadecimal(std::uint64_t bits) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(bits));
  return text;
}

// In full, unlike base::to_string().
std::string name(const base::Processor& processor) {
  return base::to_string(processor.node) + ":" + hexadecimal(base::value(processor.incarnation));
}

std::string name(const base::RingId& ring) {
  return std::to_string(ring.sequence) + "." + base::to_string(ring.representative) + ":" +
         hexadecimal(ring.nonce);
}

std::string names(const std::vector<base::Processor>& processors) {
  std::string text;
  for (const base::Processor& processor : processors) {
    if (!text.empty()) text += ',';
    text += name(processor);
  }
  return text.empty() ? "-" : text;
}

std::string_view name(evs::Service service) {
  switch (service) {
    case evs::Service::unordered:
      return "unordered";
    case evs::Service::fifo:
      return "fifo";
    case evs::Service::agreed:
      return "agreed";
    case evs::Service::safe:
      return "safe";
  }
  return "?";
}

// What a message is compared by: its guarantee, length and content (FNV-1a, 64 bits).
std::string content(evs::Service service, base::Bytes payload) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const std::byte byte : payload) {
    hash ^= std::to_integer<std::uint64_t>(byte);
    hash *= 0x100000001b3;
  }
  return std::string(name(service)) + " " + std::to_string(payload.size()) + " " +
         hexadecimal(hash);
}

std::string text_of(const evs::Delivery& delivery) {
  return "deliver " + name(delivery.ring) + " " + std::to_string(delivery.sequence) + " " +
         std::to_string(delivery.index) + " " + name(delivery.sender) + " " +
         content(delivery.service, delivery.payload);
}

std::string text_of(const evs::ConfigurationChange& change) {
  const evs::Configuration& to = change.configuration;
  const bool regular = to.kind == evs::ConfigurationKind::regular;
  return std::string(regular ? "regular " : "transitional ") + name(to.id) + " " +
         names(to.members) + " " + names(regular ? change.joined : change.departed);
}

// True if all of it was written; else errno says why.
bool write_at(int fd, std::string_view text, std::size_t offset) {
  while (!text.empty()) {
    const ssize_t n = pwrite(fd, text.data(), text.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    offset += static_cast<std::size_t>(n);
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

}  // namespace

base::Result<EvsTrace, std::string> EvsTrace::open(const std::string& path) {
  const auto fail = [&path](int fd, const std::string& what) {
    if (fd >= 0) close(fd);
    return base::error("the trace " + path + " can not be written: " + what);
  };
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0640);
  if (fd < 0) return fail(fd, reason(errno) + "; name a file in a folder that lockd may write to");
  struct stat about {};
  if (fstat(fd, &about) != 0) return fail(fd, reason(errno));
  if (!S_ISREG(about.st_mode)) return fail(fd, "it is not a file; name one");
  if (flock(fd, LOCK_EX | LOCK_NB) != 0)
    return fail(fd, "another process is writing it; name another file");
  const auto size = static_cast<std::size_t>(about.st_size);
  if (size == 0) return EvsTrace(fd, 0);

  std::array<char, kBegin.size()> first{};
  if (pread(fd, first.data(), first.size(), 0) != static_cast<ssize_t>(first.size()) ||
      std::string_view(first.data(), first.size()) != kBegin) {
    return fail(fd, "it is there, and is no trace; name a new file");
  }
  EvsTrace trace(fd, size);
  // A life that was ended in the middle of a line: the mark says that the line is none.
  char last = 0;
  if (pread(fd, &last, 1, about.st_size - 1) != 1)
    return base::error("the trace " + path + " can not be read: " + reason(errno));
  if (last != '\n') trace.unwritten_ = " ~\n";
  return trace;
}

EvsTrace::EvsTrace(int fd, std::size_t size) : fd_(fd), size_(size) {}

EvsTrace::EvsTrace(EvsTrace&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      size_(other.size_),
      begin_(other.begin_),
      given_(other.given_),
      recording_(other.recording_),
      unwritten_(std::move(other.unwritten_)),
      failure_(std::move(other.failure_)) {}

EvsTrace::~EvsTrace() {
  if (fd_ < 0) return;
  flush();
  close(fd_);
}

void EvsTrace::begin(const base::Processor& self) {
  CHECK(begin_ == 0 && given_ == 0);
  begin_ = size_ + unwritten_.size();
  line(std::string(kBegin) + std::string(kWhole) + " " + name(self));
  flush();
}

void EvsTrace::gave(evs::Service service, base::Bytes payload) {
  if (!recording_) return;
  line("give " + std::to_string(++given_) + " " + content(service, payload));
  flush();
}

void EvsTrace::told(const evs::Event& event) {
  if (!recording_) return;
  line(std::visit([](const auto& one) { return text_of(one); }, event));
  if (unwritten_.size() >= kUnwrittenMax) flush();
}

void EvsTrace::left() {
  line("leave");
  flush();
}

void EvsTrace::line(const std::string& text) {
  if (recording_) unwritten_ += text + "\n";
}

void EvsTrace::flush() {
  if (!recording_ || unwritten_.empty()) return;
  if (!write_at(fd_, unwritten_, size_)) return give_up(errno);
  size_ += unwritten_.size();
  unwritten_.clear();
}

void EvsTrace::give_up(int code) {
  recording_ = false;
  unwritten_ = std::string();
  failure_ = reason(code);
  // Back to the last whole line. The mark takes no more room than there is.
  if (ftruncate(fd_, static_cast<off_t>(size_)) != 0) failure_ += "; half a line is left in it";
  if (begin_ < size_ && !write_at(fd_, kHoled, begin_ + kBegin.size()))
    failure_ += "; the file can not even be marked as incomplete, do not judge by it";
}

std::string EvsTrace::failure() {
  return std::exchange(failure_, {});
}

}  // namespace lockd
