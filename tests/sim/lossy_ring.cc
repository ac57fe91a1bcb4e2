#include "tests/sim/lossy_ring.h"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <utility>

#include "base/bytes.h"

namespace sim {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t kHeaderBytesOfIpAndUdp = 28;

// Keeps the queue of a member full enough for any visit.
constexpr std::size_t kWaitingBytes = std::size_t{256} * 1024;

constexpr std::size_t kLatenciesMax = 200'000;

// Loss is measured here, not sealing: the text stays in the clear, and every tag fits.
class OpenAead final : public evs::net::Aead {
 public:
  evs::net::Cipher cipher() const override { return evs::net::Cipher::chacha20_poly1305; }
  evs::net::Secret derive(const evs::net::Secret& master, base::Bytes, base::Bytes) override {
    return master;
  }
  void seal(const evs::net::Secret&, const evs::net::Nonce&, base::Bytes, base::Bytes plaintext,
            std::span<std::byte> sealed) override {
    std::ranges::copy(plaintext, sealed.begin());
  }
  [[nodiscard]] bool open(const evs::net::Secret&, const evs::net::Nonce&, base::Bytes,
                          base::Bytes sealed, std::span<std::byte> plaintext) override {
    std::ranges::copy(sealed.first(plaintext.size()), plaintext.begin());
    return true;
  }
};

OpenAead& open_aead() {
  static OpenAead aead;
  return aead;
}

evs::Config config_of(std::size_t index, const LossOptions& options) {
  evs::Config config = options.ring;
  config.self = base::NodeId{static_cast<std::uint32_t>(index + 1)};
  config.nodes.clear();
  for (std::size_t i = 0; i < options.nodes; ++i) {
    config.nodes.push_back(base::NodeId{static_cast<std::uint32_t>(i + 1)});
  }
  return config;
}

evs::net::Salt salt_of(base::Random& random) {
  evs::net::Salt salt;
  for (auto& byte : salt) byte = static_cast<std::byte>(random.below(256));
  return salt;
}

}  // namespace

struct LossyRing::Machine {
  Machine(const evs::Config& config, const evs::net::Redundancy& redundancy, base::Random& random,
          base::Instant now)
      : salt(salt_of(random)),
        sealer(open_aead(), evs::net::ClusterKey{}, config.self, salt),
        opener(open_aead(), evs::net::ClusterKey{}, config.self, salt, config.nodes),
        repeater(redundancy, evs::NodeMask{1} << (base::value(config.self) - 1)),
        node(config, base::Incarnation{random.u64()}, random.fork(), now) {}

  evs::net::Salt salt;
  evs::net::Sealer sealer;
  evs::net::Opener opener;
  evs::net::Repeater repeater;
  evs::Node node;
  std::uint64_t timer_number = 0;
  bool repeating = false;  // It is known when to go on.
  std::uint64_t sent = 0;
  std::uint64_t delivered = 0;
  Duration busy_until{};          // The processor.
  Duration sending_until{};       // The network interface.
  std::size_t waiting_bytes = 0;  // In the receive buffer.
  std::deque<Duration> sent_at;   // Of own messages that were not delivered here yet.
};

LossyRing::LossyRing(const LossOptions& options) : options_(options), random_(options.seed) {
  for (std::size_t i = 0; i < options_.nodes; ++i) {
    machines_.push_back(
        std::make_unique<Machine>(config_of(i, options_), options_.redundancy, random_, instant()));
  }
}

LossyRing::~LossyRing() = default;

LossResult LossyRing::run() {
  const Duration start = now_;
  for (std::size_t i = 0; i < machines_.size(); ++i) settle(i);
  while (!result_.violation) {
    const Duration end =
        measuring() ? start + result_.formed + options_.length : start + options_.formation_max;
    if (queue_.empty() || queue_.next_at() >= end) {
      now_ = end;
      break;
    }
    Occurrence next = queue_.pop();
    now_ = next.at;
    step(std::move(next));
    if (measuring() || !formed()) continue;
    result_.formed = now_ - start;
    for (auto& machine : machines_) machine->delivered = 0;
    for (std::size_t i = 0; i < machines_.size(); ++i) {
      queue_.push(now_ + Duration(1), Happening::message, i);
    }
    for (int minute = 1; now_ + std::chrono::minutes(minute) <= now_ + options_.length; ++minute) {
      queue_.push(now_ + std::chrono::minutes(minute), Happening::heal, 0);
    }
  }
  if (measuring()) result_.measured = now_ - start - result_.formed;
  result_.delivered = measuring() ? machines_[0]->delivered : 0;
  for (const auto& machine : machines_) {
    const evs::Statistics& s = machine->node.statistics();
    if (measuring()) result_.delivered = std::min(result_.delivered, machine->delivered);
    const std::uint32_t window = machine->node.status(instant()).personal_window;
    if (result_.personal_window == 0 || window < result_.personal_window) {
      result_.personal_window = window;
    }
    result_.token_losses += s.token_losses;
    result_.token_retransmissions += s.token_retransmissions;
    result_.packets_sent += s.packets_sent;
    result_.copies += machine->repeater.copies();
    result_.packets_retransmitted += s.packets_retransmitted;
  }
  return std::move(result_);
}

bool LossyRing::formed() const {
  const evs::Configuration& first = machines_[0]->node.regular();
  return first.members.size() == machines_.size() &&
         std::ranges::all_of(machines_, [&](const auto& machine) {
           return machine->node.regular().id == first.id &&
                  machine->node.state() == evs::NodeState::operational;
         });
}

void LossyRing::step(Occurrence occurrence) {
  Machine& machine = *machines_[occurrence.node];
  switch (occurrence.what) {
    case Happening::datagram:
      arrive(occurrence.node, std::move(occurrence.bytes));
      return;
    case Happening::daemon_bytes:  // Through the receive buffer.
      machine.waiting_bytes -= occurrence.bytes.size();
      receive(machine, occurrence.bytes);
      break;
    case Happening::timer:
      if (occurrence.number != machine.timer_number) return;
      machine.node.handle_timeout(instant());
      break;
    case Happening::resume:
      machine.repeating = false;
      repeat(occurrence.node);
      return;
    case Happening::message: {
      if (options_.rate <= 0) break;
      static_cast<void>(multicast(occurrence.node));
      const Duration mean(
          static_cast<std::int64_t>(1e9 * static_cast<double>(options_.nodes) / options_.rate));
      queue_.push(now_ + random_.between(Duration(1), 2 * mean), Happening::message,
                  occurrence.node);
      break;
    }
    default: {  // A minute is over.
      std::uint64_t least = machine.delivered;
      for (const auto& other : machines_) least = std::min(least, other->delivered);
      for (const std::uint64_t before : result_.delivered_by_minute) least -= before;
      result_.delivered_by_minute.push_back(least);
      return;
    }
  }
  settle(occurrence.node);
}

void LossyRing::arrive(std::size_t index, base::Buffer datagram) {
  Machine& machine = *machines_[index];
  if (machine.waiting_bytes + datagram.size() > options_.receive_buffer_bytes) {
    ++result_.overflows;
    return;
  }
  machine.waiting_bytes += datagram.size();
  machine.busy_until =
      std::max(machine.busy_until, now_) + options_.datagram_cost +
      Duration(options_.seal_ns_per_byte * static_cast<std::int64_t>(datagram.size()));
  queue_.push(machine.busy_until, Happening::daemon_bytes, index, 0, std::move(datagram));
}

void LossyRing::receive(Machine& machine, const base::Buffer& datagram) {
  const auto opened = machine.opener.open(instant(), datagram);
  const std::size_t index = base::value(machine.node.self().node) - 1;
  for (const evs::net::HandshakeRecord& record : machine.opener.to_send()) {
    send(index, record.type, evs::NodeMask{1} << (base::value(record.to) - 1), record.text);
  }
  if (!opened || !*opened) return;
  machine.node.handle_datagram(instant(), (*opened)->sender(), (*opened)->plaintext);
}

bool LossyRing::multicast(std::size_t index) {
  Machine& machine = *machines_[index];
  base::Buffer payload;
  base::ByteWriter writer(payload);
  writer.u64(machine.sent);
  payload.resize(std::max(payload.size(), options_.message_bytes));
  const bool safe = options_.all_safe || machine.sent % 2 == 0;
  const auto service = safe ? evs::Service::safe : evs::Service::agreed;
  if (!machine.node.multicast(instant(), service, payload)) return false;
  ++machine.sent;
  machine.sent_at.push_back(now_);
  return true;
}

// For a ring that is to be as fast as it can.
void LossyRing::fill(std::size_t index) {
  const Machine& machine = *machines_[index];
  const std::size_t enough = options_.ring.send_queue_bytes_max - kWaitingBytes;
  while (machine.node.send_room() > enough && multicast(index)) {
  }
}

void LossyRing::settle(std::size_t index) {
  Machine& machine = *machines_[index];
  if (measuring() && options_.rate <= 0) fill(index);
  while (auto event = machine.node.poll_event()) on_event(index, *event);
  while (auto transmit = machine.node.poll_transmit()) {
    send(index, evs::net::RecordType::ring, transmit->to, transmit->datagram);
  }
  ++machine.timer_number;
  if (const auto due = machine.node.next_timeout()) {
    queue_.push(std::max(*due, now_ + Duration(1)), Happening::timer, index, machine.timer_number);
  }
}

void LossyRing::send(std::size_t index, evs::net::RecordType type, evs::NodeMask to,
                     base::Bytes text) {
  Machine& machine = *machines_[index];
  base::Buffer sealed;
  machine.sealer.seal(type, text, sealed);
  machine.busy_until =
      std::max(machine.busy_until, now_) +
      Duration(options_.seal_ns_per_byte * static_cast<std::int64_t>(sealed.size()));
  put_on_wire(index, to, sealed);
  machine.repeater.add(now_, type, to, text, sealed);
  if (!machine.repeating) repeat(index);
}

void LossyRing::repeat(std::size_t index) {
  Machine& machine = *machines_[index];
  while (const auto copy = machine.repeater.poll(now_)) {
    put_on_wire(index, copy->to, *copy->datagram);
  }
  const auto due = machine.repeater.next_due();
  machine.repeating = due.has_value();
  if (due) queue_.push(*due, Happening::resume, index);
}

void LossyRing::put_on_wire(std::size_t index, evs::NodeMask to, const base::Buffer& sealed) {
  Machine& machine = *machines_[index];
  const std::size_t on_wire = sealed.size() + kHeaderBytesOfIpAndUdp;
  for (; to != 0; to &= to - 1) {
    machine.busy_until = std::max(machine.busy_until, now_) + options_.datagram_cost;
    machine.sending_until =
        std::max(machine.sending_until, machine.busy_until) +
        Duration(options_.wire_ns_per_byte * static_cast<std::int64_t>(on_wire));
    result_.bytes += on_wire;
    if (static_cast<double>(random_.u64() >> 11) * 0x1p-53 < options_.loss) continue;
    queue_.push(machine.sending_until + random_.between(options_.delay_min, options_.delay_max),
                Happening::datagram, static_cast<std::size_t>(std::countr_zero(to)), 0, sealed);
  }
}

void LossyRing::on_event(std::size_t index, const evs::Event& event) {
  if (const auto* delivery = std::get_if<evs::Delivery>(&event)) {
    on_delivery(index, *delivery);
  } else if (measuring()) {
    const auto& change = std::get<evs::ConfigurationChange>(event);
    if (change.configuration.kind == evs::ConfigurationKind::regular) {
      ++result_.configuration_changes;
    }
  }
}

// All members deliver the same in the same order, as long as they stay together.
void LossyRing::on_delivery(std::size_t index, const evs::Delivery& delivery) {
  Machine& machine = *machines_[index];
  base::ByteReader reader(delivery.payload);
  const Message message{base::value(delivery.sender.node) - 1, reader.u64()};
  if (message.sender == index && !machine.sent_at.empty()) {
    if (result_.latencies.size() < kLatenciesMax && delivery.service == evs::Service::safe) {
      result_.latencies.push_back(now_ - machine.sent_at.front());
    }
    machine.sent_at.pop_front();
  }
  const std::uint64_t place = machine.delivered++;
  if (result_.configuration_changes > 0 || place < order_begin_) return;
  if (place - order_begin_ == order_.size()) {
    order_.push_back(message);
  } else if (order_[place - order_begin_] != message) {
    result_.violation = "two members delivered message " + std::to_string(place) + " differently";
    return;
  }
  while (!order_.empty() && std::ranges::all_of(machines_, [&](const auto& other) {
    return other->delivered > order_begin_;
  })) {
    order_.pop_front();
    ++order_begin_;
  }
}

std::string to_string(const LossOptions& options, const LossResult& result) {
  const auto in_seconds = [](Duration d) { return static_cast<double>(d.count()) / 1e9; };
  const double measured = std::max(in_seconds(result.measured), 1e-9);
  std::vector<Duration> latencies = result.latencies;
  std::ranges::sort(latencies);
  const auto percentile = [&](std::size_t of_a_hundred) {
    return latencies.empty()
               ? 0.0
               : 1e3 * in_seconds(latencies[(latencies.size() - 1) * of_a_hundred / 100]);
  };
  std::uint64_t slowest_minute = result.delivered;
  for (const std::uint64_t minute : result.delivered_by_minute) {
    slowest_minute = std::min(slowest_minute, minute);
  }
  char text[1024];
  std::snprintf(
      text, sizeof text,
      "nodes=%zu loss=%.2f%% formed_seconds=%.3f measured_seconds=%.1f\n"
      "messages_per_second=%.1f slowest_minute=%llu safe_latency_ms p50=%.2f p99=%.2f max=%.2f\n"
      "packets_sent=%llu packets_retransmitted=%llu copies=%llu token_retransmissions=%llu "
      "receive_buffer_overflows=%llu personal_window=%u wire_mbit_per_second=%.2f\n"
      "configuration_changes=%llu token_timeouts=%llu%s%s\n",
      options.nodes, 100 * options.loss, in_seconds(result.formed), in_seconds(result.measured),
      static_cast<double>(result.delivered) / measured,
      static_cast<unsigned long long>(slowest_minute), percentile(50), percentile(99),
      percentile(100), static_cast<unsigned long long>(result.packets_sent),
      static_cast<unsigned long long>(result.packets_retransmitted),
      static_cast<unsigned long long>(result.copies),
      static_cast<unsigned long long>(result.token_retransmissions),
      static_cast<unsigned long long>(result.overflows), result.personal_window,
      static_cast<double>(result.bytes) * 8e-6 / (measured + in_seconds(result.formed)),
      static_cast<unsigned long long>(result.configuration_changes),
      static_cast<unsigned long long>(result.token_losses), result.violation ? "\nVIOLATION " : "",
      result.violation ? result.violation->c_str() : "");
  return text;
}

}  // namespace sim
