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
  sessions_.clear();
  resources_.clear();
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
    if (!primary) continue;
    for (auto& [name, queue] : resources_) grant_front(name);
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

void FakeDaemon::reply(std::uint64_t session, RequestId request, Answer answer, Token token) {
  Reply said{request, answer, Mode::ex, token, 0, {}, {}, ""};
  if (answer != Answer::not_quorate) replies_[{session, request}] = said;
  for (Peer& peer : peers_) {
    if (peer.session != session || peer.end) continue;
    said.note = note(peer);
    say(peer, said);
  }
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
    peer.session = ++last_;
    sessions_[peer.session] = true;
  }
  welcome.session = SessionId{peer.session};
  welcome.generation = 1;
  peer.greeting.reset();
  say(peer, welcome);
}

void FakeDaemon::on_request(Peer& peer, const Request& request) {
  std::visit(
      [&peer](const auto& any) {
        if constexpr (requires { any.stamp; }) peer.stamp = any.stamp;
      },
      request);
  if (const auto* hello = std::get_if<Hello>(&request)) {
    peer.greeting = *hello;
  } else if (const auto* acquire = std::get_if<Acquire>(&request)) {
    on_acquire(peer, *acquire);
  } else if (const auto* release = std::get_if<Release>(&request)) {
    on_release(peer, *release);
  } else if (const auto* cancel = std::get_if<Cancel>(&request)) {
    on_cancel(peer, *cancel);
  } else if (std::holds_alternative<Keepalive>(request)) {
    say(peer, State{primary, 1, note(peer)});
  } else if (std::holds_alternative<Close>(request)) {
    peer.end = true;
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
  } else if (const auto* show = std::get_if<Show>(&request)) {
    ShowPage page{show->query, true, show->skip < 2, false, false, {}, {}};
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
  }
}

void FakeDaemon::on_acquire(Peer& peer, const Acquire& acquire) {
  const auto known = replies_.find({peer.session, acquire.request});
  if (known != replies_.end())
    return reply(peer.session, acquire.request, known->second.answer, known->second.token);
  ++acquires_;
  std::deque<Wait>& queue = resources_[acquire.resource];
  const bool no_queue = (acquire.flags & base::lock_flag::no_queue) != 0;
  if (no_queue && !primary) return reply(peer.session, acquire.request, Answer::not_quorate);
  if (no_queue && !queue.empty()) return reply(peer.session, acquire.request, Answer::busy);
  queue.push_back({peer.session, acquire.request, Token{}});
  reply(peer.session, acquire.request, Answer::queued);
  if (primary) grant_front(acquire.resource);
}

void FakeDaemon::grant_front(const std::string& name) {
  std::deque<Wait>& queue = resources_[name];
  if (queue.empty() || queue.front().token != Token{}) return;
  queue.front().token = Token{++last_};
  reply(queue.front().session, queue.front().request, Answer::granted, queue.front().token);
}

void FakeDaemon::on_release(Peer& peer, const Release& release) {
  const auto known = replies_.find({peer.session, release.request});
  if (known != replies_.end()) return reply(peer.session, release.request, known->second.answer);
  for (auto& [name, queue] : resources_) {
    if (queue.empty() || queue.front().token != release.token) continue;
    queue.pop_front();
    reply(peer.session, release.request, Answer::released);
    return grant_front(name);
  }
  reply(peer.session, release.request, Answer::not_held);
}

void FakeDaemon::on_cancel(Peer& peer, const Cancel& cancel) {
  for (auto& [name, queue] : resources_) {
    for (auto wait = queue.begin(); wait != queue.end(); ++wait) {
      if (wait->session != peer.session || wait->request != cancel.acquire) continue;
      if (wait->token != Token{}) return reply(peer.session, cancel.request, Answer::not_waiting);
      queue.erase(wait);
      return reply(peer.session, cancel.request, Answer::cancelled);
    }
  }
  reply(peer.session, cancel.request, Answer::not_waiting);
}

void FakeDaemon::end_session(std::uint64_t session) {
  if (session == 0) return;
  sessions_.erase(session);
  for (auto& [name, queue] : resources_) {
    std::erase_if(queue, [session](const Wait& wait) { return wait.session == session; });
    grant_front(name);
  }
}

}  // namespace liblock_test
