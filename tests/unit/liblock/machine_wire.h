// A client machine with a clock, and the other end of its connection in the hands of the test.
#pragma once

#include <doctest/doctest.h>

#include <chrono>
#include <string>
#include <vector>

#include "liblock/client_machine.h"

namespace liblock_test {

using namespace liblock;
using namespace std::chrono_literals;
using protocol::Answer;
using protocol::LeaseNote;
using protocol::Mode;

inline constexpr Duration kLease = 2s;

struct Wire {
  explicit Wire(ClientConfig config = {}) : machine(config) {}

  ClientMachine machine;
  Instant now{1000s, 900s};
  protocol::FrameCutter cutter{protocol::kRequestBytesMax};
  std::vector<protocol::Request> sent;  // Since the last clear.
  std::vector<Event> events;            // But for those of jeopardy.
  std::vector<bool> jeopardy;           // Began, or ended.
  protocol::Stamp newest;               // Stamp that the daemon has received.

  void drain() {
    while (auto event = machine.poll_event()) {
      const bool began = std::holds_alternative<JeopardyBegan>(*event);
      if (began || std::holds_alternative<JeopardyEnded>(*event)) {
        jeopardy.push_back(began);
      } else {
        events.push_back(*event);
      }
    }
    while (auto bytes = machine.poll_transmit()) {
      cutter.append(*bytes);
      for (auto content = cutter.next(); *content; content = cutter.next()) {
        sent.push_back(*protocol::decode_request(**content));
        std::visit([this](const auto& request) { note_stamp(request); }, sent.back());
      }
    }
  }
  template <typename Request>
  void note_stamp(const Request& request) {
    if constexpr (requires { request.stamp; }) newest = request.stamp;
  }

  void pass(Duration time) { now = now + time; }
  void tick() {
    machine.handle_timeout(now);
    drain();
  }
  void connect() {
    machine.handle_connected(now);
    cutter = protocol::FrameCutter{protocol::kRequestBytesMax};
    drain();
  }
  void disconnect() {
    machine.handle_disconnected(now);
    drain();
  }
  // What the daemon says now: that `remaining` is left.
  LeaseNote note(Duration remaining = kLease) const { return {newest, remaining}; }
  void say(const protocol::Response& response) {
    base::Buffer frame;
    protocol::encode(response, frame);
    machine.handle_bytes(now, frame);
    drain();
  }
  void welcome(bool resumed = false, std::uint64_t session = 7) {
    protocol::Welcome welcome;
    welcome.resumed = resumed;
    welcome.session = base::SessionId{session};
    welcome.secret.fill(std::byte{5});
    welcome.generation = resumed ? 2 : 1;
    welcome.lease = kLease;
    welcome.primary = true;
    welcome.note = note();
    say(welcome);
  }
  void open() {
    connect();
    welcome();
    clear();
  }
  void reconnect() {
    pass(1s);
    tick();
    REQUIRE(machine.wants_connection());
    clear();
    connect();
  }
  void clear() {
    sent.clear();
    events.clear();
  }
  RequestId acquire(const std::string& name, bool no_queue = false) {
    const auto request = machine.acquire(now, "default", name, Mode::ex, no_queue);
    REQUIRE(request.has_value());
    drain();
    return *request;
  }
  void reply(RequestId request, Answer answer, std::uint64_t token = 0) {
    say(protocol::Reply{request, answer, Mode::ex, Token{token}, 0, {}, note(), ""});
  }
  RequestId hold(const std::string& name, std::uint64_t token, Mode mode = Mode::ex) {
    const RequestId request = acquire(name);
    say(protocol::Reply{request, Answer::granted, mode, Token{token}, 0, {}, note(), ""});
    REQUIRE(machine.valid_for(now, request) > 0s);
    clear();
    return request;
  }

  template <typename Message>
  Message only_sent() const {
    const auto found = all_sent<Message>();
    REQUIRE(found.size() == 1);
    return found.front();
  }
  template <typename Message>
  std::vector<Message> all_sent() const {
    std::vector<Message> found;
    for (const auto& request : sent) {
      if (const auto* message = std::get_if<Message>(&request)) found.push_back(*message);
    }
    return found;
  }
  template <typename Kind>
  std::vector<Kind> all_events() const {
    std::vector<Kind> found;
    for (const auto& event : events) {
      if (const auto* kind = std::get_if<Kind>(&event)) found.push_back(*kind);
    }
    return found;
  }
  template <typename Kind>
  Kind only_event() const {
    REQUIRE(events.size() == 1);
    REQUIRE(std::holds_alternative<Kind>(events.front()));
    return std::get<Kind>(events.front());
  }
};

}  // namespace liblock_test
