#include "tests/unit/liblock/fake_daemon.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <stdexcept>

namespace liblock_test {

FakeDaemon::FakeDaemon() {
  char folder[] = "/tmp/liblock-test-XXXXXX";
  if (::mkdtemp(folder) == nullptr) throw std::runtime_error("mkdtemp");
  folder_ = folder;
  path_ = folder_ + "/sock";
  start();
}

FakeDaemon::~FakeDaemon() {
  stop();
  ::rmdir(folder_.c_str());
}

void FakeDaemon::start() {
  stopping_ = false;
  if (::pipe2(wake_, O_CLOEXEC | O_NONBLOCK) != 0) throw std::runtime_error("pipe");
  listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path_.c_str(), path_.size() + 1);
  if (::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listener_, 16) != 0) {
    throw std::runtime_error("bind");
  }
  thread_ = std::thread([this] { run(); });
}

void FakeDaemon::stop() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard guard(mutex_);
    stopping_ = true;
  }
  (void)!::write(wake_[1], "x", 1);
  thread_.join();
  for (Peer& peer : peers_) ::close(peer.fd);
  peers_.clear();
  for (int fd : {listener_, wake_[0], wake_[1]}) ::close(fd);
  ::unlink(path_.c_str());
}

void FakeDaemon::forget_sessions() {
  const std::lock_guard guard(mutex_);
  for (std::uint64_t session : sessions_) barriers_.end_session(session);
  sessions_.clear();
  const std::uint64_t next = table_.next_token();
  table_ = dlm::Table();
  table_.raise_token_base(next);
  for (Peer& peer : peers_) {
    if (peer.session != 0) say(peer, Lost{LostReason::expired});
    peer.session = 0;
  }
  (void)!::write(wake_[1], "x", 1);
}

// A knob is seen at the latest a moment after it was turned.
void FakeDaemon::run() {
  for (;;) {
    std::vector<pollfd> fds = {{wake_[0], POLLIN, 0}, {listener_, POLLIN, 0}};
    {
      const std::lock_guard guard(mutex_);
      for (const Peer& peer : peers_) {
        if (silent) break;
        fds.push_back(
            {peer.fd, static_cast<short>(peer.out.empty() ? POLLIN : POLLIN | POLLOUT), 0});
      }
    }
    ::poll(fds.data(), fds.size(), 10);
    const std::lock_guard guard(mutex_);
    if (stopping_) return;
    if (silent) continue;
    char drained[16];
    while (::read(wake_[0], drained, sizeof drained) > 0) {
    }
    for (;;) {
      const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
      if (fd < 0) break;
      peers_.emplace_back().fd = fd;
    }
    for (std::size_t i = 0; i < peers_.size(); ++i) turn(peers_[i]);
    for (std::size_t i = 0; i < peers_.size();) {
      if (peers_[i].end) {
        ::close(peers_[i].fd);
        const std::uint64_t session = peers_[i].session;
        peers_.erase(peers_.begin() + static_cast<std::ptrdiff_t>(i));
        end_session(session);
      } else {
        ++i;
      }
    }
    while (primary && !backlog_.empty()) {
      const auto [session, request] = backlog_.front();
      backlog_.pop_front();
      execute(session, request);
    }
  }
}

void FakeDaemon::turn(Peer& peer) {
  std::byte bytes[4096];
  for (;;) {
    const ssize_t count = ::recv(peer.fd, bytes, sizeof bytes, 0);
    if (count == 0) peer.end = true;
    if (count <= 0) break;
    peer.cutter.append(base::Bytes(bytes, static_cast<std::size_t>(count)));
    for (;;) {
      const auto content = peer.cutter.next();
      if (!content || !*content) break;
      const auto request = decode_request(**content);
      if (request) on_request(peer, *request);
    }
  }
  if (peer.greeting) welcome(peer);
  const ssize_t sent = ::send(peer.fd, peer.out.data(), peer.out.size(), MSG_NOSIGNAL);
  if (sent > 0) peer.out.erase(peer.out.begin(), peer.out.begin() + sent);
}

LeaseNote FakeDaemon::note(const Peer& peer) const {
  return {peer.stamp, base::Duration(primary ? lease_ns.load() : 0)};
}

void FakeDaemon::say(Peer& peer, const Response& response) {
  encode(response, peer.out);
}

void FakeDaemon::say_to(std::uint64_t session, const Response& response) {
  for (Peer& peer : peers_) {
    if (peer.session == session && !peer.end) say(peer, response);
  }
}

void FakeDaemon::tell_all(const Response& response) {
  const std::lock_guard guard(mutex_);
  for (Peer& peer : peers_) {
    if (peer.session != 0) say(peer, response);
  }
  (void)!::write(wake_[1], "x", 1);
}

void FakeDaemon::reply(std::uint64_t session, RequestId request, Answer answer,
                       const dlm::Effect& effect) {
  Reply said{request, answer, effect.mode, effect.token, effect.notes, effect.value, {}, ""};
  if (answer != Answer::not_quorate) replies_[{session, request}] = said;
  for (Peer& peer : peers_) {
    if (peer.session != session || peer.end) continue;
    said.note = note(peer);
    say(peer, said);
  }
}

// What is said of barriers: the answer, and what it meant for all.
void FakeDaemon::say_all(FakeBarriers::Said said) {
  for (auto& [session, response] : said) {
    const auto* answer = std::get_if<Reply>(&response);
    if (answer != nullptr) {
      reply(session, answer->request, answer->answer);
    } else {
      say_to(session, response);
    }
  }
}

std::size_t FakeDaemon::outcomes() {
  const std::lock_guard guard(mutex_);
  return barriers_.outcomes();
}

void FakeDaemon::welcome(Peer& peer) {
  const Hello& hello = *peer.greeting;
  if (garbage) {
    const auto text = base::bytes_of("SSH-2.0-OpenSSH_9.2p1\r\n");
    peer.out.insert(peer.out.end(), text.begin(), text.end());
    peer.greeting.reset();
    return;
  }
  if (refuse != 0) {
    say(peer, Refused{static_cast<Refusal>(refuse.load()), "the advice"});
    peer.greeting.reset();
    return;
  }
  if (hello.kind != HelloKind::query && !primary) {
    say(peer, State{false, 0, note(peer)});
    return;
  }
  Welcome welcome;
  welcome.node = NodeId{1};
  welcome.lease = base::Duration(lease_ns.load());
  welcome.primary = primary;
  welcome.note = note(peer);
  if (hello.kind == HelloKind::resume) {
    peer.session = base::value(hello.resume.session);
    if (sessions_.count(peer.session) == 0) {
      peer.session = 0;
      peer.greeting.reset();
      return say(peer, Refused{Refusal::session_lost, ""});
    }
    welcome.resumed = true;
  } else if (hello.kind == HelloKind::open) {
    peer.session = base::value(table_.draw_token());
    sessions_.insert(peer.session);
  }
  welcome.session = SessionId{peer.session};
  welcome.generation = 1;
  peer.greeting.reset();
  say(peer, welcome);
  if (welcome.resumed) say_all(barriers_.tell_again(peer.session));
}

void FakeDaemon::on_request(Peer& peer, const Request& request) {
  std::visit(
      [&peer](const auto& any) {
        if constexpr (requires { any.stamp; }) peer.stamp = any.stamp;
      },
      request);
  if (const auto* hello = std::get_if<Hello>(&request)) {
    peer.greeting = *hello;
  } else if (std::holds_alternative<Keepalive>(request)) {
    say(peer, State{primary, 1, note(peer)});
  } else if (std::holds_alternative<Close>(request)) {
    peer.end = true;
  } else if (const auto* more = std::get_if<BarrierMore>(&request)) {
    say_all(barriers_.take(peer.session, *more));
  } else if (const auto* confirm = std::get_if<BarrierConfirm>(&request)) {
    barriers_.take(peer.session, *confirm);
  } else if (const auto* barriers = std::get_if<BarriersQuery>(&request)) {
    say(peer, barriers_.list(*barriers));
  } else if (const auto* list = std::get_if<List>(&request)) {
    // One item a page, and an empty page in between.
    ListPage page{list->query, false, list->cursor < 3, list->cursor + 1, {}};
    if (list->cursor != 1) {
      ListItem item;
      item.lockspace = "default";
      item.resource = list->prefix + std::to_string(list->cursor);
      page.items.push_back(item);
    }
    say(peer, page);
  } else if (const auto* watch = std::get_if<Watch>(&request)) {
    // A grant and a deadlock have just happened.
    if (watch->lockspace == "full") {
      say(peer, Refused{Refusal::limit, "too many watchers"});
      peer.end = true;
      return;
    }
    if (watch->events == 0) return;
    say(peer, WatchGap{watch->query, true, 0});
    LockWatched lock;
    lock.query = watch->query;
    lock.lockspace = "default";
    lock.resource = "jobs";
    lock.token = base::Token{5};
    lock.reason = Answer::granted;
    lock.command = "a fake";
    if (watch->events & bit_of(WatchedEvent::granted)) say(peer, lock);
    DeadlockWatched deadlock{watch->query, 9, base::SessionId{5}, base::RequestId{6}, {}};
    if (watch->events & bit_of(WatchedEvent::deadlock)) say(peer, deadlock);
  } else if (const auto* show = std::get_if<Show>(&request)) {
    ShowPage page{show->query, true, show->skip < 2, true, true, {std::byte{7}}, {}};
    page.locks.resize(show->skip < 2 ? 1 : 0);
    say(peer, page);
  } else if (const auto* status = std::get_if<StatusQuery>(&request)) {
    Status answer;
    answer.query = status->query;
    answer.epoch = 12;
    answer.state = "active";
    answer.counters = {{"digests_compared", 7}};
    say(peer, answer);
  } else if (const auto* members = std::get_if<MembersQuery>(&request)) {
    Members answer;
    answer.query = members->query;
    answer.members.resize(3);
    say(peer, answer);
  } else if (const auto* ring = std::get_if<RingStatusQuery>(&request)) {
    RingStatus answer;
    answer.query = ring->query;
    answer.state = RingState::gather;
    answer.rotation_average = base::Duration(210);
    answer.outstanding_max = 1024;
    answer.peers.resize(2);
    answer.peers[1].node = NodeId{2};
    answer.peers[1].heard = true;
    answer.peers[1].heard_ago = base::Duration(77);
    answer.peers[1].key = 9;
    say(peer, answer);
  } else if (const auto* log = std::get_if<RingLogQuery>(&request)) {
    // One event a page.
    RingLogPage page{log->query, log->since < 2, {}};
    page.events.resize(1);
    page.events[0].number = log->since + 1;
    page.events[0].event = "install_regular";
    page.events[0].ago = base::Duration(5);
    say(peer, page);
  } else if (const auto* why = std::get_if<WhyQuery>(&request)) {
    Why answer;
    answer.query = why->query;
    answer.changed = true;
    answer.trigger = "a test";
    answer.members = {NodeId{2 + why->back}};
    answer.changes = {{{NodeId{3}, base::Incarnation{8}}, true, "it said so"}};
    say(peer, answer);
  } else if (const auto* deadlock = std::get_if<DeadlockQuery>(&request)) {
    // Of two steps, and there was only one.
    DeadlockAnswer answer;
    answer.query = deadlock->query;
    answer.found = deadlock->back == 0;
    if (answer.found) {
      answer.victim = base::SessionId{5};
      answer.request = base::RequestId{6};
      answer.steps.resize(2);
      for (DeadlockStep& step : answer.steps) {
        step.lockspace = "default";
        step.resource = "jobs";
      }
      answer.steps[1].wants = Mode::ex;
    }
    say(peer, answer);
  } else if (const auto* lockspaces = std::get_if<LockspacesQuery>(&request)) {
    // One a page.
    LockspacesPage page{lockspaces->query, true, lockspaces->after.empty(), {}};
    page.items.resize(1);
    page.items[0].state.lockspace = lockspaces->after + "w";
    page.items[0].state.members = {{NodeId{2}, 4}};
    page.items[0].permissions = 0640;
    say(peer, page);
  } else {
    std::visit(
        [&](const auto& any) {
          if constexpr (requires { any.request; }) take(peer, any.request, request);
        },
        request);
  }
}

// Executes what is new, once; what came before is answered as it was.
void FakeDaemon::take(Peer& peer, RequestId id, const Request& request) {
  const auto* acquire = std::get_if<Acquire>(&request);
  const auto* all = std::get_if<AcquireAll>(&request);
  const bool fresh = taken_.count({peer.session, id}) == 0;
  const bool try_in_vain =
      acquire != nullptr && !primary && (acquire->flags & base::lock_flag::no_queue) != 0;
  if (fresh && try_in_vain) {
    ++acquires_;
    return reply(peer.session, id, Answer::not_quorate);
  }
  if (fresh) {
    if (acquire != nullptr || all != nullptr) ++acquires_;
    taken_.insert({peer.session, id});
    backlog_.emplace_back(peer.session, request);
    if (primary) {
      backlog_.pop_back();
      execute(peer.session, request);
    }
    return;
  }
  for (std::size_t i = 0; i < (all != nullptr ? all->parts.size() : 1); ++i) {
    const auto known = replies_.find({peer.session, RequestId{base::value(id) + i}});
    if (known == replies_.end()) return;
    Reply again = known->second;
    again.note = note(peer);
    say(peer, again);
  }
  if (barriers_.takes(request)) say_all(barriers_.tell_again(peer.session));
}

namespace {

Answer answer_of(const dlm::Effect& effect) {
  if (effect.kind == dlm::Effect::Kind::granted) return Answer::granted;
  if (effect.kind == dlm::Effect::Kind::queued) return Answer::queued;
  if (effect.kind == dlm::Effect::Kind::released) return Answer::released;
  switch (effect.status) {
    case dlm::Status::would_block:
      return Answer::busy;
    case dlm::Status::deadlock:
      return Answer::deadlock;
    case dlm::Status::in_progress:
    case dlm::Status::not_granted:
      return Answer::in_progress;
    case dlm::Status::withdrawn:
      return Answer::cancelled;
    case dlm::Status::already_granted:
      return Answer::not_waiting;
    case dlm::Status::unknown_lock:
    case dlm::Status::wrong_token:
      return Answer::not_held;
    default:
      return Answer::invalid;
  }
}

}  // namespace

Answer FakeDaemon::join(const JoinLockspace& join) {
  const bool there = lockspaces_.count(join.lockspace) != 0;
  if (join.kind == JoinKind::open && !there) return Answer::not_found;
  if (join.kind == JoinKind::create_new && there) return Answer::exists;
  lockspaces_.insert(join.lockspace);
  return Answer::done;
}

dlm::Effects FakeDaemon::apply(SessionId session, const Request& request) {
  dlm::Effects effects;
  const auto name = [](const auto& on) {
    return dlm::ResourceName{base::bytes_of(on.lockspace), base::bytes_of(on.resource)};
  };
  if (const auto* acquire = std::get_if<Acquire>(&request)) {
    table_.acquire(dlm::Acquire{{session, acquire->request},
                                name(*acquire),
                                acquire->mode,
                                acquire->flags,
                                dlm::Owner{acquire->owner},
                                acquire->patience},
                   effects);
  } else if (const auto* all = std::get_if<AcquireAll>(&request)) {
    dlm::AcquireAll wanted{{session, all->request}, {}, all->flags, dlm::Owner{all->owner}, 0};
    for (const AcquirePart& part : all->parts) wanted.parts.push_back({name(part), part.mode});
    table_.acquire(wanted, effects);
  } else if (const auto* convert = std::get_if<Convert>(&request)) {
    table_.convert({{session, convert->acquire},
                    convert->request,
                    convert->mode,
                    convert->flags,
                    convert->value,
                    convert->patience},
                   effects);
  } else if (const auto* release = std::get_if<Release>(&request)) {
    table_.release({{session, release->acquire}, release->token, release->flags, release->value},
                   effects);
  } else if (const auto* cancel = std::get_if<Cancel>(&request)) {
    table_.cancel({session, cancel->acquire}, dlm::Status::withdrawn, effects);
  }
  return effects;
}

void FakeDaemon::execute(std::uint64_t session, const Request& request) {
  if (barriers_.takes(request)) return say_all(barriers_.execute(session, request));
  if (const auto* drop = std::get_if<DropOrphans>(&request)) {
    return reply(session, drop->request,
                 drop->node == NodeId{9} ? Answer::not_permitted : Answer::done);
  }
  if (const auto* leave = std::get_if<LeaveLockspace>(&request)) {
    const bool left = lockspaces_.erase(leave->lockspace) != 0;
    return reply(session, leave->request, left ? Answer::done : Answer::not_found);
  }
  if (const auto* wanted = std::get_if<JoinLockspace>(&request)) {
    const Answer answer = join(*wanted);
    reply(session, wanted->request, answer);
    if (answer == Answer::done) {
      say_to(session, LockspaceState{wanted->lockspace, 1, true, {{NodeId{1}, 1}}, {}});
    }
    return;
  }
  const dlm::Effects effects = apply(SessionId{session}, request);
  const auto* all = std::get_if<AcquireAll>(&request);
  const std::size_t outcomes = all != nullptr ? all->parts.size() : 1;
  tell_deadlocks();
  std::visit(
      [&](const auto& any) {
        if constexpr (requires { any.request; }) {
          for (std::size_t i = 0; i < outcomes; ++i) {
            reply(session, RequestId{base::value(any.request) + i}, answer_of(effects[i]),
                  effects[i]);
          }
        }
      },
      request);
  tell_effects(effects, outcomes);
}

void FakeDaemon::tell_deadlocks() {
  for (const dlm::Deadlock& deadlock : table_.take_deadlocks()) {
    Deadlock said{deadlock.victim.acquired_by, {}};
    const auto ref = [](dlm::LockName lock) {
      return LockRef{lock.session, lock.acquired_by, NodeId{1}, 77, "test"};
    };
    for (const dlm::DeadlockStep& step : deadlock.steps) {
      said.steps.push_back({ref(step.waits), step.wants, ref(step.blocker), step.has,
                            step.lockspace, step.resource});
    }
    say_to(base::value(deadlock.victim.session), said);
  }
}

// What a request has meant for others.
void FakeDaemon::tell_effects(const dlm::Effects& effects, std::size_t from) {
  tell_deadlocks();
  for (std::size_t i = from; i < effects.size(); ++i) {
    const dlm::Effect& effect = effects[i];
    const std::uint64_t session = base::value(effect.lock.session);
    if (effect.kind == dlm::Effect::Kind::blocks) {
      say_to(session, Blocks{effect.lock.acquired_by, effect.token, effect.mode});
    } else if (effect.request != RequestId{}) {
      reply(session, effect.request, answer_of(effect), effect);
    }
  }
}

void FakeDaemon::end_session(std::uint64_t session) {
  if (session == 0) return;
  sessions_.erase(session);
  say_all(barriers_.end_session(session));
  dlm::Effects effects;
  while (!table_.release_some(SessionId{session}, dlm::Ending::closed, 1000, effects)) {
  }
  tell_effects(effects, 0);
}

}  // namespace liblock_test
