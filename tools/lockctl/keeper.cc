#include "tools/lockctl/keeper.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>
#include <vector>

#include "tools/clocks.h"
#include "tools/lockctl/exit_code.h"

namespace tools::lockctl {
namespace {

constexpr std::size_t kConnectionsMax = 16;  // More wait to be accepted.

bool send(int fd, const KeeperAnswer& answer) {
  const base::Buffer bytes = encode(answer);
  return ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT) >= 0;
}

KeeperAnswer answer_of(const Failure& failure) {
  KeeperAnswer answer;
  answer.exit_code = failure.exit_code;
  answer.message = failure.message.substr(0, kKeeperMessageMax / 2);
  return answer;
}

base::LockMode mode_of(lock_mode mode) {
  return static_cast<base::LockMode>(mode);
}

// Whether a lock that goes from one mode to another may leave a value behind.
bool writes(base::LockMode from, base::LockMode to) {
  return from == base::LockMode::ex || (from == base::LockMode::pw && to <= base::LockMode::pw);
}

// The terminal and the pipes of the shell are not ours to keep, nor is its folder, unless a path
// begins there.
void detach(const std::string& socket, std::vector<int> keep) {
  const bool absolute = socket.starts_with('/') && socket.find(":") == std::string::npos;
  if (absolute && ::chdir("/") != 0) return;
  const int nowhere = ::open("/dev/null", O_RDWR);
  for (const int fd : {0, 1, 2}) ::dup2(nowhere, fd);
  std::ranges::sort(keep);
  unsigned from = 3;
  for (const int fd : keep) {
    if (fd < 3) continue;
    const auto next = static_cast<unsigned>(fd);
    if (next > from) ::close_range(from, next - 1, 0);
    from = next + 1;
  }
  ::close_range(from, ~0U, 0);
}

// A command that waits for its conversion.
struct Conversion {
  int connection = -1;  // -1: it has gone.
  std::optional<base::Duration> until;
  bool timed_out = false;
};

class Keeper {
 public:
  Keeper(const KeeperPlan& plan, KeeperPlace place, Held held, int listening, int starter)
      : plan_(plan),
        place_(std::move(place)),
        held_(std::move(held)),
        mode_(mode_of(held_.outcome.mode)),
        listening_(listening),
        starter_(starter) {}

  // Until the lock is given back, or lost. The session ends with the process.
  void run() {
    if (!send(starter_, stand(held_.outcome))) return;
    while (!over_) turn();
    place_.leave();
  }

 private:
  void turn() {
    std::vector<pollfd> news = {
        {lock_fd(client()), POLLIN, 0},
        {connections_.size() < kConnectionsMax ? listening_ : -1, POLLIN, 0},
        {plan_.followed ? plan_.followed->fd() : -1, POLLIN, 0},
        {starter_, POLLIN, 0}};
    for (const int connection : connections_) news.push_back({connection, POLLIN, 0});
    ::poll(news.data(), news.size(), timeout());
    lock_dispatch(client());  // An error is the end of the lease.
    over_ = over_ || lock_is_held(client(), &held_.grant) == 0 || news[2].revents != 0;
    if (over_) return;
    if (news[3].revents != 0) hear_starter();
    for (std::size_t i = 4; i < news.size(); ++i) {
      if (news[i].revents != 0 && !over_) serve(news[i].fd);
    }
    if (news[1].revents != 0) accept();
    end_late_conversion();
  }

  int timeout() const {
    int timeout = lock_timeout_ms(client());
    if (conversion_ && conversion_->until) {
      const auto left =
          std::max(*conversion_->until - read_clock(CLOCK_BOOTTIME), base::Duration(0));
      const auto most = std::chrono::ceil<std::chrono::milliseconds>(left).count();
      const int bound = static_cast<int>(std::min<std::int64_t>(most, 3'600'000));
      timeout = timeout < 0 ? bound : std::min(timeout, bound);
    }
    return timeout;
  }

  // The command that started us has told the shell of its lock, and waits for us to have seen that;
  // or it has gone before.
  void hear_starter() {
    char word = 0;
    const bool told = ::recv(starter_, &word, 1, MSG_DONTWAIT) == 1;
    if (told) {
      ::prctl(PR_SET_PDEATHSIG, 0);
      ::send(starter_, &word, 1, MSG_NOSIGNAL);
    }
    ::close(std::exchange(starter_, -1));
    over_ = over_ || !told;
  }

  void accept() {
    const int connection = ::accept4(listening_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (connection >= 0) connections_.push_back(connection);
  }

  void serve(int connection) {
    std::array<std::byte, kKeeperMessageMax> bytes;
    const ssize_t size = ::recv(connection, bytes.data(), bytes.size(), 0);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (size <= 0) {
      // Nobody waits for the conversion any more: it is taken back, if it has not been granted.
      if (conversion_ && conversion_->connection == connection) {
        conversion_->connection = -1;
        lock_cancel(client(), held_.grant.id);
      }
      hang_up(connection);
      return;
    }
    const auto request = decode_request({bytes.data(), static_cast<std::size_t>(size)});
    if (!request) {
      answer(connection, answer_of({kConfig, "the keeper of the lock is of another version"}));
    } else if (request->whose != plan_.id.text()) {
      answer(connection, answer_of({kLost, "this shell does not hold it"}));
    } else if (request->verb == KeeperVerb::convert) {
      convert(connection, *request);
    } else if (request->verb == KeeperVerb::unlock) {
      unlock(connection, *request);
    } else {
      answer(connection, stand({}));
    }
  }

  void convert(int connection, const KeeperRequest& request) {
    if (conversion_) {
      answer(connection, answer_of({kBusy, "the lock is being converted already"}));
      return;
    }
    if (request.value && !writes(mode_, request.mode)) {
      answer(connection, cannot_write());
      return;
    }
    lock_conversion conversion{};
    conversion.size = sizeof conversion;
    conversion.mode = static_cast<lock_mode>(request.mode);
    if (request.wait == base::Duration(0)) conversion.flags |= LOCK_FLAG_TRY;
    if (request.value || (request.read_value && !writes(mode_, request.mode))) {
      conversion.flags |= LOCK_FLAG_VALUE;
    }
    if (request.value) conversion.value = request.value->data();
    const int refused =
        lock_convert_async(client(), &held_.grant, &conversion, &Keeper::on_converted, this);
    if (refused != 0) {
      answer(connection, answer_of(failure(refused)));
      return;
    }
    conversion_.emplace();
    conversion_->connection = connection;
    if (request.wait && *request.wait > base::Duration(0)) {
      conversion_->until = read_clock(CLOCK_BOOTTIME) + *request.wait;
    }
  }

  void end_late_conversion() {
    if (!conversion_ || !conversion_->until || conversion_->timed_out) return;
    if (read_clock(CLOCK_BOOTTIME) < *conversion_->until) return;
    conversion_->timed_out = true;
    conversion_->until.reset();
    lock_cancel(client(), held_.grant.id);
  }

  static void on_converted(lock_client*, const lock_outcome* outcome, void* arg) {
    auto& keeper = *static_cast<Keeper*>(arg);
    const Conversion conversion = *keeper.conversion_;
    keeper.conversion_.reset();
    if (outcome->error == 0) {
      keeper.held_.grant = outcome->grant;
      keeper.mode_ = mode_of(outcome->mode);
    }
    if (conversion.connection < 0) return;
    const bool late = conversion.timed_out && outcome->error == LOCK_ERROR_CANCELLED;
    const int error = late ? int{LOCK_ERROR_TIMEOUT} : outcome->error;
    keeper.answer(conversion.connection,
                  error == 0 ? keeper.stand(*outcome) : answer_of(keeper.failure(error)));
  }

  void unlock(int connection, const KeeperRequest& request) {
    if (conversion_) {
      answer(connection, answer_of({kBusy, "the lock is being converted"}));
      return;
    }
    if (request.value && mode_ < base::LockMode::pw) {
      answer(connection, cannot_write());
      return;
    }
    const void* value = request.value ? request.value->data() : nullptr;
    const unsigned flags = value ? unsigned{LOCK_FLAG_VALUE} : 0;
    const int error = lock_release_with(client(), &held_.grant, flags, value);
    // What comes next finds the place free, whatever the daemon's word was.
    place_.leave();
    over_ = true;
    answer(connection, error == 0 ? KeeperAnswer{} : answer_of(failure(error)));
  }

  static KeeperAnswer cannot_write() {
    return answer_of(
        {kUsage, "a value is left behind from EX, or from PW to a mode that is not higher"});
  }

  // As it is held, and what was read when it came to that.
  KeeperAnswer stand(const lock_outcome& outcome) const {
    KeeperAnswer answer;
    answer.token = held_.grant.token;
    answer.mode = mode_;
    answer.valid =
        base::Duration(static_cast<std::int64_t>(lock_valid_for_ns(client(), &held_.grant)));
    if (outcome.has_value) {
      answer.value.emplace();
      std::memcpy(answer.value->data(), outcome.value, sizeof outcome.value);
    }
    answer.value_invalid = (outcome.notes & LOCK_NOTE_VALUE_INVALID) != 0;
    return answer;
  }

  void answer(int connection, const KeeperAnswer& answer) {
    send(connection, answer);
    hang_up(connection);
  }

  void hang_up(int connection) {
    std::erase(connections_, connection);
    ::close(connection);
  }

  Failure failure(int error) const { return failure_of(error, client(), plan_.wanted.socket); }
  lock_client* client() const { return held_.client.get(); }

  const KeeperPlan& plan_;
  KeeperPlace place_;
  Held held_;
  base::LockMode mode_;
  int listening_;
  int starter_;  // The command that started us; -1 once it has gone.
  std::vector<int> connections_;
  std::optional<Conversion> conversion_;
  bool over_ = false;
};

void keep(const KeeperPlan& plan, KeeperPlace place, int starter) {
  auto held = acquire(plan.wanted);
  if (!held) {
    place.leave();
    send(starter, answer_of(held.error()));
    return;
  }
  const auto listening = place.listen();
  if (!listening) {
    place.leave();
    send(starter, answer_of(listening.error()));
    return;
  }
  Keeper(plan, std::move(place), std::move(*held), *listening, starter).run();
}

}  // namespace

base::Result<StartedKeeper, Failure> StartedKeeper::start(const KeeperPlan& plan) {
  const auto folder = KeeperPlace::folder();
  if (!folder) return base::error(folder.error());
  auto place = KeeperPlace::take(*folder, plan.id);
  if (!place) return base::error(place.error());
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return base::error(Failure{kInternal, std::string("socketpair: ") + std::strerror(errno)});
  }
  const pid_t starter = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) {
    const Failure failure{kInternal, std::string("fork: ") + std::strerror(errno)};
    ::close(ends[0]);
    ::close(ends[1]);
    return base::error(failure);
  }
  if (child == 0) {
    // Until the shell knows of its lock, we end with the command that it has called.
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != starter) ::_exit(kInternal);
    ::signal(SIGTERM, SIG_DFL);
    ::setsid();
    ::close(ends[0]);
    std::vector<int> kept = {ends[1], place->fd()};
    if (plan.followed) kept.push_back(plan.followed->fd());
    detach(plan.wanted.socket, std::move(kept));
    keep(plan, std::move(*place), ends[1]);
    ::_exit(kOk);
  }
  ::close(ends[1]);
  // The child has the place now: it is taken while either of us has it open, and given up by it.
  std::array<std::byte, kKeeperMessageMax> bytes;
  ssize_t size = 0;
  do {
    size = ::recv(ends[0], bytes.data(), bytes.size(), 0);
  } while (size < 0 && errno == EINTR);
  const auto answer =
      size > 0 ? decode_answer({bytes.data(), static_cast<std::size_t>(size)}) : std::nullopt;
  if (answer && answer->exit_code == kOk) return StartedKeeper(ends[0], *answer);
  ::close(ends[0]);
  if (!answer) return base::error(Failure{kInternal, "the process that keeps the lock has ended"});
  return base::error(Failure{answer->exit_code, answer->message});
}

StartedKeeper::StartedKeeper(StartedKeeper&& other) noexcept
    : channel_(std::exchange(other.channel_, -1)), answer_(std::move(other.answer_)) {}

StartedKeeper::~StartedKeeper() {
  if (channel_ >= 0) ::close(channel_);
}

bool StartedKeeper::confirm() {
  char word = 1;
  if (::send(channel_, &word, 1, MSG_NOSIGNAL) != 1) return false;
  ssize_t size = 0;
  do {
    size = ::recv(channel_, &word, 1, 0);
  } while (size < 0 && errno == EINTR);
  return size == 1;
}

}  // namespace tools::lockctl
