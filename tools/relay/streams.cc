#include "tools/relay/streams.h"

#include <poll.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>
#include <span>

#include "tools/relay/socks.h"

namespace tools::relay {

namespace {

constexpr int kBacklog = 128;

Duration now() {
  return std::chrono::steady_clock::now().time_since_epoch();
}

// Whether who connected has closed, which nobody is told who does not read.
bool has_hung_up(const uv_tcp_t& socket) {
  pollfd asked{};
  if (uv_fileno(reinterpret_cast<const uv_handle_t*>(&socket), &asked.fd) != 0) return true;
  asked.events = POLLRDHUP;
  return poll(&asked, 1, 0) > 0;
}

}  // namespace

struct Streams::Listener {
  Streams* owner = nullptr;
  Node from = 0;
  std::optional<Node> to;  // Nobody in particular: those who connect say it.
  uv_tcp_t socket{};
  sockaddr_storage at{};
};

// Side 0 is who connected, side 1 the node that it is connected to.
struct Streams::End {
  Stream* stream = nullptr;
  uv_tcp_t socket{};
  bool exists = false;
  bool reads = false;
};

// What is read at one side and written at the other.
struct Streams::Flow {
  base::Buffer piece;  // Empty: the next one may be read.
  Duration due{0};
  bool writes = false;
  bool ended = false;   // The sender has closed its side.
  bool closed = false;  // The receiver was told so.
  uv_write_t write{};
  uv_shutdown_t shutdown{};
};

struct Streams::Stream {
  enum class State { kGreeting, kRequest, kWaiting, kConnecting, kOpen, kClosing };

  Streams* owner = nullptr;
  Node from = 0;
  Node to = 0;
  bool proxied = false;
  State state = State::kWaiting;
  base::Buffer said;    // While greeting.
  bool waited = false;  // For the end of a cut, before it was connected.
  bool broken = false;  // Side 1 does not take bytes any more; side 0 has not heard of it yet.
  std::array<End, 2> ends;
  std::array<Flow, 2> flows;  // By the side that is read.
  uv_connect_t connect{};
};

Streams::Streams(uv_loop_t& loop, Links& links)
    : loop_(loop), links_(links), buffer_(kPieceBytesMax) {
  uv_timer_init(&loop_, &timer_);
  timer_.data = this;
}

// The owner of the loop has closed all handles.
Streams::~Streams() = default;

std::string Streams::listen(const Direction& direction, const sockaddr_storage& at,
                            const sockaddr_storage& to) {
  for (const auto& [other, address] : destinations_) {
    if (other.first == direction.first && port_of(address) == port_of(to)) {
      return "--node: with --tcp each node needs a port of its own, since proxies go by it";
    }
  }
  destinations_[direction] = to;
  auto listener = std::make_unique<Listener>();
  listener->from = direction.first;
  listener->to = direction.second;
  listener->at = at;
  return open(std::move(listener));
}

std::string Streams::listen_proxy(Node from, const sockaddr_storage& at) {
  auto listener = std::make_unique<Listener>();
  listener->from = from;
  listener->at = at;
  return open(std::move(listener));
}

std::string Streams::open(std::unique_ptr<Listener> listener) {
  listener->owner = this;
  uv_tcp_init(&loop_, &listener->socket);
  listener->socket.data = listener.get();
  listeners_.push_back(std::move(listener));
  Listener& last = *listeners_.back();
  int error = uv_tcp_bind(&last.socket, generic(last.at), 0);
  if (error == 0) {
    error = uv_listen(reinterpret_cast<uv_stream_t*>(&last.socket), kBacklog,
                      [](uv_stream_t* socket, int status) {
                        auto& listening = *static_cast<Listener*>(socket->data);
                        if (status == 0) listening.owner->accept(listening);
                      });
  }
  if (error != 0) return "cannot listen at " + text_of(last.at) + ": " + uv_strerror(error);
  int length = sizeof last.at;
  uv_tcp_getsockname(&last.socket, reinterpret_cast<sockaddr*>(&last.at), &length);
  return {};
}

std::string Streams::text() const {
  std::string text;
  for (const auto& listener : listeners_) {
    const std::string from = std::to_string(listener->from);
    if (listener->to) {
      text += "link " + from + " " + std::to_string(*listener->to) +
              " at=" + text_of(listener->at) +
              " to=" + text_of(destinations_.at({listener->from, *listener->to})) + "\n";
    } else {
      text += "proxy " + from + " at=" + text_of(listener->at) + "\n";
    }
  }
  return text;
}

bool Streams::is_cut(const Stream& stream, std::size_t side) {
  const Direction direction =
      side == 0 ? Direction(stream.from, stream.to) : Direction(stream.to, stream.from);
  return links_.link(direction).settings().cut;
}

// ---- From the first byte to the connection ----

void Streams::accept(Listener& listener) {
  if (open_streams() >= kStreamsMax) drop_the_hung_up();
  auto stream = std::make_unique<Stream>();
  stream->owner = this;
  stream->from = listener.from;
  stream->to = listener.to.value_or(0);
  stream->proxied = !listener.to;
  for (End& end : stream->ends) end.stream = stream.get();
  End& source = stream->ends[0];
  uv_tcp_init(&loop_, &source.socket);
  source.socket.data = &source;
  source.exists = true;
  streams_.push_back(std::move(stream));
  Stream& last = *streams_.back();
  if (uv_accept(reinterpret_cast<uv_stream_t*>(&listener.socket),
                reinterpret_cast<uv_stream_t*>(&source.socket)) != 0 ||
      open_streams() > kStreamsMax) {
    close(last, true);
    return;
  }
  uv_tcp_nodelay(&source.socket, 1);
  if (last.proxied) {
    greet(last);
  } else {
    step(last);
  }
}

std::size_t Streams::open_streams() const {
  return static_cast<std::size_t>(std::ranges::count_if(
      streams_, [](const auto& stream) { return stream->state != Stream::State::kClosing; }));
}

// Those who wait behind a cut are not read, so that their going is seen only here and at its end.
void Streams::drop_the_hung_up() {
  for (const auto& stream : streams_) {
    if (stream->state == Stream::State::kWaiting && has_hung_up(stream->ends[0].socket)) {
      close(*stream);
    }
  }
}

void Streams::greet(Stream& stream) {
  stream.state = Stream::State::kGreeting;
  uv_read_start(
      reinterpret_cast<uv_stream_t*>(&stream.ends[0].socket),
      [](uv_handle_t* handle, std::size_t, uv_buf_t* buffer) {
        auto& free = static_cast<End*>(handle->data)->stream->owner->buffer_;
        *buffer = uv_buf_init(free.data(), static_cast<unsigned>(kSocksBytesMax));
      },
      [](uv_stream_t* socket, ssize_t size, const uv_buf_t* buffer) {
        Stream& greeting = *static_cast<End*>(socket->data)->stream;
        const std::size_t free = kSocksBytesMax - greeting.said.size();
        if (size < 0 || static_cast<std::size_t>(size) > free) {
          greeting.owner->close(greeting);
          return;
        }
        const auto bytes = std::as_bytes(std::span(buffer->base, static_cast<std::size_t>(size)));
        greeting.said.insert(greeting.said.end(), bytes.begin(), bytes.end());
        greeting.owner->answer_greeting(greeting);
      });
}

void Streams::answer_greeting(Stream& stream) {
  auto* socket = reinterpret_cast<uv_stream_t*>(&stream.ends[0].socket);
  if (stream.state == Stream::State::kGreeting) {
    const auto hello = socks_hello(stream.said);
    if (!hello) {
      close(stream);
      return;
    }
    if (!*hello) return;
    stream.said.erase(stream.said.begin(),
                      stream.said.begin() + static_cast<std::ptrdiff_t>(**hello));
    base::Buffer answer = socks_hello_answer();
    uv_buf_t buffer =
        uv_buf_init(reinterpret_cast<char*>(answer.data()), static_cast<unsigned>(answer.size()));
    uv_try_write(socket, &buffer, 1);
    stream.state = Stream::State::kRequest;
  }
  const auto request = socks_request(stream.said);
  if (!request) {
    close(stream);
    return;
  }
  if (!*request) return;
  const auto destination = std::ranges::find_if(destinations_, [&](const auto& known) {
    return known.first.first == stream.from && port_of(known.second) == (*request)->port;
  });
  // One that speaks on before it is answered is not understood.
  if (destination == destinations_.end() || stream.said.size() > (*request)->size) {
    close(stream);
    return;
  }
  uv_read_stop(socket);
  stream.to = destination->first.second;
  stream.state = Stream::State::kWaiting;
  step(stream);
}

// ---- Carrying ----

void Streams::pump() {
  for (const auto& stream : streams_) step(*stream);
  set_timer();
}

void Streams::step(Stream& stream) {
  if (stream.state == Stream::State::kWaiting) connect(stream);
  if (stream.state != Stream::State::kOpen) return;
  if (stream.broken && !is_cut(stream, 1)) {
    close(stream, true);
    return;
  }
  for (std::size_t side = 0; side < 2; ++side) carry_on(stream, side);
}

// Needs both directions, as a handshake does. Who gave up while it waited does not get through.
void Streams::connect(Stream& stream) {
  if (is_cut(stream, 0) || is_cut(stream, 1)) {
    stream.waited = true;
    return;
  }
  if (stream.waited && has_hung_up(stream.ends[0].socket)) {
    close(stream);
    return;
  }
  stream.state = Stream::State::kConnecting;
  End& end = stream.ends[1];
  uv_tcp_init(&loop_, &end.socket);
  end.socket.data = &end;
  end.exists = true;
  stream.connect.data = &stream;
  const int error = uv_tcp_connect(&stream.connect, &end.socket,
                                   generic(destinations_.at({stream.from, stream.to})),
                                   [](uv_connect_t* request, int status) {
                                     auto& connecting = *static_cast<Stream*>(request->data);
                                     connecting.owner->connected(connecting, status);
                                   });
  if (error != 0) connected(stream, error);
}

void Streams::connected(Stream& stream, int status) {
  if (stream.state != Stream::State::kConnecting || status == UV_ECANCELED) return;
  if (stream.proxied) {
    base::Buffer answer = socks_answer(status == 0 ? SocksReply::kConnected : SocksReply::kRefused);
    uv_buf_t buffer =
        uv_buf_init(reinterpret_cast<char*>(answer.data()), static_cast<unsigned>(answer.size()));
    uv_try_write(reinterpret_cast<uv_stream_t*>(&stream.ends[0].socket), &buffer, 1);
  }
  if (status != 0) {
    close(stream, !stream.proxied);
    return;
  }
  uv_tcp_nodelay(&stream.ends[1].socket, 1);
  stream.state = Stream::State::kOpen;
  step(stream);
}

// Writes what is due, passes on that a side is closed, or reads; one after the other, and nothing
// of it while the direction is cut.
void Streams::carry_on(Stream& stream, std::size_t side) {
  if (stream.state != Stream::State::kOpen) return;
  Flow& flow = stream.flows[side];
  End& from = stream.ends[side];
  auto* socket = reinterpret_cast<uv_stream_t*>(&from.socket);
  const bool reads = !is_cut(stream, side) && !flow.ended && !flow.writes && flow.piece.empty() &&
                     !(stream.broken && side == 0);
  if (from.reads && !reads) uv_read_stop(socket);
  if (!from.reads && reads) {
    uv_read_start(
        socket,
        [](uv_handle_t* handle, std::size_t, uv_buf_t* buffer) {
          auto& free = static_cast<End*>(handle->data)->stream->owner->buffer_;
          *buffer = uv_buf_init(free.data(), static_cast<unsigned>(free.size()));
        },
        [](uv_stream_t* read, ssize_t size, const uv_buf_t* buffer) {
          const End& end = *static_cast<End*>(read->data);
          const auto number = static_cast<std::size_t>(&end - end.stream->ends.data());
          end.stream->owner->came(*end.stream, number, size, buffer->base);
        });
  }
  from.reads = reads;
  if (is_cut(stream, side) || flow.writes) return;
  if (!flow.piece.empty()) {
    if (flow.due <= now()) write(stream, side);
    return;
  }
  if (!flow.ended || flow.closed) return;
  flow.closed = true;
  flow.shutdown.data = &stream;
  const int error =
      uv_shutdown(&flow.shutdown, reinterpret_cast<uv_stream_t*>(&stream.ends[1 - side].socket),
                  [](uv_shutdown_t*, int) {});
  if (error != 0 || stream.flows[1 - side].closed) close(stream);
}

void Streams::came(Stream& stream, std::size_t side, ssize_t size, const char* bytes) {
  Flow& flow = stream.flows[side];
  if (size == 0) return;
  if (size == UV_EOF) {
    flow.ended = true;
  } else if (size < 0) {
    close(stream, true);
    return;
  } else {
    const auto piece = std::as_bytes(std::span(bytes, static_cast<std::size_t>(size)));
    flow.piece.assign(piece.begin(), piece.end());
    const Direction direction =
        side == 0 ? Direction(stream.from, stream.to) : Direction(stream.to, stream.from);
    flow.due = links_.link(direction).carry(now(), piece.size());
  }
  carry_on(stream, side);
  if (!flow.piece.empty() && !flow.writes) set_timer();
}

void Streams::write(Stream& stream, std::size_t side) {
  Flow& flow = stream.flows[side];
  flow.writes = true;
  flow.write.data = &stream.ends[side];
  uv_buf_t buffer = uv_buf_init(reinterpret_cast<char*>(flow.piece.data()),
                                static_cast<unsigned>(flow.piece.size()));
  const auto written = [](uv_write_t* request, int status) {
    const End& end = *static_cast<End*>(request->data);
    Stream& writing = *end.stream;
    const auto number = static_cast<std::size_t>(&end - writing.ends.data());
    writing.flows[number].writes = false;
    writing.flows[number].piece.clear();
    if (writing.state != Stream::State::kOpen || status == UV_ECANCELED) return;
    if (status != 0) {
      writing.owner->broken(writing, number);
    } else {
      writing.owner->carry_on(writing, number);
    }
  };
  if (uv_write(&flow.write, reinterpret_cast<uv_stream_t*>(&stream.ends[1 - side].socket), &buffer,
               1, written) != 0) {
    flow.writes = false;
    flow.piece.clear();
    broken(stream, side);
  }
}

// What is read at `side` is not taken at the other any more. That news goes the other way, so a cut
// stops it; side 1 alone is asked, since side 0 is gone for itself and knows it.
void Streams::broken(Stream& stream, std::size_t side) {
  if (side == 0 && is_cut(stream, 1)) {
    stream.broken = true;
    return;
  }
  close(stream, true);
}

void Streams::close(Stream& stream, bool reset) {
  if (stream.state == Stream::State::kClosing) return;
  stream.state = Stream::State::kClosing;
  const auto gone = [](uv_handle_t* handle) {
    End& closed = *static_cast<End*>(handle->data);
    closed.exists = false;
    Stream& closing = *closed.stream;
    if (closing.ends[0].exists || closing.ends[1].exists) return;
    std::erase_if(closing.owner->streams_,
                  [&closing](const auto& held) { return held.get() == &closing; });
  };
  for (End& end : stream.ends) {
    if (!end.exists || uv_is_closing(reinterpret_cast<uv_handle_t*>(&end.socket))) continue;
    if (!reset || uv_tcp_close_reset(&end.socket, gone) != 0) {
      uv_close(reinterpret_cast<uv_handle_t*>(&end.socket), gone);
    }
  }
}

// Wakes when the next piece is due. One whose direction is cut waits for a command.
void Streams::set_timer() {
  std::optional<Duration> next;
  for (const auto& stream : streams_) {
    if (stream->state != Stream::State::kOpen) continue;
    for (std::size_t side = 0; side < 2; ++side) {
      const Flow& flow = stream->flows[side];
      if (flow.piece.empty() || flow.writes || is_cut(*stream, side)) continue;
      if (!next || flow.due < *next) next = flow.due;
    }
  }
  if (!next) {
    uv_timer_stop(&timer_);
    return;
  }
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(*next - now()).count();
  uv_update_time(&loop_);
  uv_timer_start(
      &timer_, [](uv_timer_t* timer) { static_cast<Streams*>(timer->data)->pump(); },
      left > 0 ? static_cast<std::uint64_t>(left) : 0, 0);
}

}  // namespace tools::relay
