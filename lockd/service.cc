#include "lockd/service.h"

#include <unistd.h>

#include <chrono>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "evs/net/clocks.h"
#include "evs/net/close.h"
#include "evs/net/entropy.h"
#include "evs/net/key_file.h"
#include "lockd/event_log.h"

namespace lockd {

namespace {

using evs::net::read_clocks;

// Unguessable, from the operating system.
Secret draw_secret() {
  Secret secret;
  for (std::size_t at = 0; at < secret.bits.size(); at += sizeof(std::uint64_t)) {
    const std::uint64_t drawn = evs::net::draw_u64();
    std::memcpy(secret.bits.data() + at, &drawn, sizeof drawn);
  }
  return secret;
}

// When the boot clock was at 0, in seconds of 1970, by the wall clock as it is now.
std::uint32_t booted_at() {
  uv_timeval64_t wall{};
  uv_gettimeofday(&wall);
  const auto since_boot = std::chrono::duration_cast<std::chrono::seconds>(read_clocks().boot);
  return static_cast<std::uint32_t>(wall.tv_sec - since_boot.count());
}

void add_counters(const evs::net::Member& member, const std::vector<base::NodeId>& nodes,
                  std::vector<liblock::protocol::Counter>& counters) {
  const evs::Statistics& ring = member.node().statistics();
  const evs::net::LinkStatistics link = member.statistics();
  const std::pair<const char*, std::uint64_t> values[] = {
      {"ring_tokens", ring.tokens_accepted},
      {"ring_tokens_refused", ring.tokens_refused},
      {"ring_token_retransmissions", ring.token_retransmissions},
      {"ring_token_losses", ring.token_losses},
      {"ring_packets_sent", ring.packets_sent},
      {"ring_packets_retransmitted", ring.packets_retransmitted},
      {"ring_packets_duplicate", ring.packets_duplicate},
      {"ring_acknowledgements_sent", ring.acknowledgements_sent},
      {"ring_messages_sent", ring.messages_sent},
      {"ring_messages_delivered", ring.messages_delivered},
      {"ring_safe_delivered", ring.safe_delivered_regular},
      {"ring_safe_by_acknowledgement", ring.safe_by_acknowledgement},
      {"ring_delivered_transitional", ring.delivered_transitional},
      {"ring_delivered_beyond_gap", ring.delivered_beyond_gap},
      {"ring_gathers", ring.gathers},
      {"ring_installs", ring.installs},
      {"ring_recoveries", ring.recoveries},
      {"ring_recoveries_failed", ring.recoveries_failed},
      {"ring_failures_forced", ring.failures_forced},
      {"ring_failures_to_receive", ring.failures_to_receive},
      {"ring_strangers_barred", ring.strangers_barred},
      {"ring_datagrams_malformed", ring.datagrams_malformed},
      {"datagrams_received", link.received},
      {"datagrams_from_group", link.from_group},
      {"datagrams_refused", link.received - link.opened},
      {"datagrams_sealed", link.sealed},
      {"datagrams_copied", link.copies},
      {"datagrams_dropped", link.dropped},
  };
  for (const auto& [name, value] : values) counters.push_back({name, value});

  for (std::size_t why = 0; why < evs::net::kRefusals; ++why) {
    const auto refusal = static_cast<evs::net::Refusal>(why);
    counters.push_back({"datagrams_refused_" + std::string(evs::net::to_string(refusal)),
                        member.refused(refusal)});
  }

  // Which key each node seals with, 0 if it was not heard: during a change of keys.
  counters.push_back({"key_in_use", base::value(member.key_in_use())});
  for (const base::NodeId node : nodes) {
    const auto key = member.key_of(node);
    if (node == member.node().self().node) continue;
    counters.push_back({"key_of_node_" + base::to_string(node), key ? base::value(*key) : 0u});
  }
}

std::string hexadecimal(const ClusterId& id) {
  static const char digits[] = "0123456789abcdef";
  std::string text;
  for (const std::uint8_t byte : id) {
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

}  // namespace

struct Service::Writing {
  uv_work_t work{};
  Service* service = nullptr;
  RecordWrite write;
  base::Result<void, std::string> result;
};

base::Result<std::unique_ptr<Service>, std::string> Service::start(uv_loop_t& loop,
                                                                   const Config& config,
                                                                   const evs::net::Keyring& keys,
                                                                   RecordFile& record, Log& log,
                                                                   EvsTrace* trace) {
  std::unique_ptr<Service> service(new Service(loop, record, log, trace));
  if (auto opened = service->open(config, keys); !opened) return base::error(opened.error());
  return service;
}

Service::Service(uv_loop_t& loop, RecordFile& record, Log& log, EvsTrace* trace)
    : loop_(loop),
      record_(record),
      log_(log),
      trace_(trace),
      prepare_(new uv_prepare_t),
      timer_(new uv_timer_t) {
  CHECK(uv_prepare_init(&loop_, prepare_) == 0);
  CHECK(uv_timer_init(&loop_, timer_) == 0);
  prepare_->data = this;
  timer_->data = this;
}

Service::~Service() {
  CHECK(!writing_);
  evs::net::close_and_delete(prepare_);
  evs::net::close_and_delete(timer_);
}

base::Result<void, std::string> Service::open(const Config& config, evs::net::Keyring keys) {
  evs::net::MemberConfig ring;
  ring.ring = config.ring();
  key_file_ = config.key_file;
  std::memcpy(cluster_.data(), config.cluster.data(), config.cluster.size());
  keys.set_cluster(cluster_);
  ring.keys = std::move(keys);
  ring.cipher = config.cipher;
  ring.offload = config.offload;
  if (config.profile == Profile::storm) {
    ring.redundancy = evs::net::kStormRedundancy;
    ring.offload = false;  // A bundle is lost as a whole.
  }
  if (config.multicast) ring.multicast = to_string(*config.multicast);
  for (const NodeConfig& node : config.nodes) {
    evs::net::NodeAddresses addresses{node.id, {}};
    for (const Address& address : node.addresses) addresses.addresses.push_back(to_string(address));
    ring.nodes.push_back(std::move(addresses));
  }
  auto member = evs::net::Member::create(loop_, ring, *this);
  if (!member) return base::error(member.error());
  member_ = std::move(*member);
  ring_log_.emplace(config.state_dir, member_->node().self(), member_->node().config().nodes,
                    member_->node().recorder(), log_);
  if (trace_ != nullptr) trace_->begin(member_->node().self());

  DaemonConfig settings = DaemonConfig::from(config.replica());
  settings.replica.booted_at = settings.watchers.booted_at = booted_at();
  settings.sessions.uid = geteuid();
  settings.sessions.connections_max = config.connections_max;
  settings.sessions.unwritten_bytes_max = config.unwritten_bytes_max;
  settings.instances.ring_queue_bytes_max = ring.ring.send_queue_bytes_max;
  settings.queries.cluster = config.cluster_name + " " + hexadecimal(config.cluster);
  settings.queries.version = RINGLOCK_VERSION;
  for (std::size_t i = 0; i < config.nodes.size(); ++i) {
    settings.queries.nodes[i].address = to_string(config.nodes[i].addresses.front());
  }
  settings.queries.more_counters = [this, nodes = config.ring().nodes](auto& counters) {
    add_counters(*member_, nodes, counters);
  };
  settings.queries.ring.node = &member_->node();
  settings.queries.ring.waiting_datagrams = [this] { return member_->statistics().waiting; };
  settings.queries.ring.key_of = [this](base::NodeId node) -> std::uint16_t {
    if (node == member_->node().self().node) return base::value(member_->key_in_use());
    const auto key = member_->key_of(node);
    return key ? base::value(*key) : std::uint16_t{0};
  };
  daemon_ =
      std::make_unique<Daemon>(settings, member_->node().self(), record_.record(), draw_secret);

  auto clients = ClientServer::open(loop_, {config.socket, config.socket_mode}, *this);
  if (!clients) return base::error(clients.error());
  clients_ = std::move(*clients);

  if (!config.dlm_tree.empty()) {
    tree_.emplace(config.dlm_tree, config.self);
    if (const auto begun = tree_->begin(config.cluster_name); !begun) {
      return base::error("cannot write in [compat] dlm_tree: " + begun.error());
    }
  }

  uv_prepare_start(prepare_, [](uv_prepare_t* handle) {
    static_cast<Service*>(handle->data)->before_waiting();
  });
  return {};
}

// ---- The ring ----

void Service::on_event(Instant now, evs::Event&& event) {
  if (ended_) return;
  if (trace_ != nullptr) trace_->told(event);
  daemon_->handle_event(now, std::move(event));
}

void Service::on_progress(Instant now) {
  if (ended_) return;
  pump(now);
  if (trace_ != nullptr) trace_->flush();
}

// ---- The clients. Their input is carried on once in a turn of the loop, so that many requests
// share a packet. ----

void Service::on_connect(ConnectionId connection, const Peer& peer) {
  daemon_->handle_connect(read_clocks(), connection, peer);
  unsettled_ = true;
}

void Service::on_bytes(ConnectionId connection, base::Bytes bytes) {
  daemon_->handle_bytes(read_clocks(), connection, bytes);
  if (daemon_->reads_much(connection)) clients_->read_much(connection);
  unsettled_ = true;
}

void Service::on_hang_up(ConnectionId connection, HangUp how) {
  daemon_->handle_hang_up(read_clocks(), connection, how);
  unsettled_ = true;
}

void Service::on_writable(ConnectionId connection) {
  daemon_->handle_writable(connection);
}

// ---- The loop ----

// Runs last in each turn, before the loop waits.
void Service::before_waiting() {
  if (ended_) return;
  const Instant now = read_clocks();
  watch_clocks(now);
  if (const auto due = daemon_->next_timeout(); due && *due <= now.boot) {
    daemon_->handle_timeout(now);
    unsettled_ = true;
  }
  if (unsettled_) pump(now);
  write_trace();
  write_tree();
  flush();
  if (daemon_->waits_for_readers()) pump(now);
  write_record();
  write_events();
  if (daemon_->failure() || (stopping_ && daemon_->may_leave(now))) return end();

  // Rounded up: the loop's clock is another one, so before_waiting() asks again.
  const auto due = daemon_->next_timeout();
  if (!due) {
    uv_timer_stop(timer_);
    return;
  }
  const auto left = std::max(base::Duration::zero(), *due - now.boot);
  uv_timer_start(
      timer_, [](uv_timer_t*) {},
      static_cast<std::uint64_t>(std::chrono::ceil<std::chrono::milliseconds>(left).count()), 0);
}

void Service::watch_clocks(Instant now) {
  const bool agreed = clock_watch_.agree();
  clock_watch_.observe(now, evs::net::time_in_suspend());
  if (clock_watch_.agree() == agreed) return;
  daemon_->set_clocks_agree(!agreed);
  if (agreed) {
    log_.error("the clocks of this machine run apart by a fifth: locks are not renewed",
               {{"advice", "look after CLOCK_BOOTTIME and CLOCK_MONOTONIC_RAW"}});
  } else {
    log_.info("the clocks of this machine run alike again: locks are renewed");
  }
}

// What an input has made possible: outcomes for clients, messages for the ring.
void Service::pump(Instant now) {
  unsettled_ = false;
  const evs::Node& node = member_->node();
  daemon_->handle_evidence(
      now, node.state() == evs::NodeState::operational ? &node.evidence() : nullptr);
  while (const auto message = daemon_->poll_multicast(node.send_room())) {
    if (trace_ != nullptr) trace_->gave(message->service, message->payload);
    const auto queued = member_->multicast(message->service, message->payload);
    // It had room, and it leaves only when this is over.
    CHECK(queued.has_value());
  }
}

void Service::flush() {
  while (const auto output = daemon_->poll_output()) {
    const std::size_t taken =
        output->bytes.empty() ? 0 : clients_->write(output->connection, output->bytes);
    if (output->close) {
      clients_->close(output->connection);
    } else {
      daemon_->handle_written(output->connection, taken);
    }
  }
}

void Service::write_events() {
  while (const auto event = daemon_->poll_event()) write(log_, *event);
  const std::uint64_t turned_away = clients_->turned_away();
  if (std::exchange(turned_away_told_, turned_away) != turned_away) {
    log_.repeated(LogLevel::warning, "client turned away",
                  {{"cause", "no file descriptor is left; raise the limit of open files"},
                   {"count", turned_away}});
  }
}

void Service::write_record() {
  auto write = daemon_->poll_record_write();
  if (!write) return;
  CHECK(!writing_);
  writing_ = true;
  auto* writing = new Writing;
  writing->work.data = writing;
  writing->service = this;
  writing->write = std::move(*write);
  const int queued = uv_queue_work(
      &loop_, &writing->work,
      [](uv_work_t* work) {
        auto& self = *static_cast<Writing*>(work->data);
        self.result = self.service->record_.write(self.write.record);
      },
      [](uv_work_t* work, int) {
        const std::unique_ptr<Writing> self(static_cast<Writing*>(work->data));
        Service& service = *self->service;
        service.writing_ = false;
        if (!self->result)
          service.log_.error("record not written", {{"cause", self->result.error()}});
        service.daemon_->handle_record_written(read_clocks(), self->write.id,
                                               self->result.has_value());
        service.unsettled_ = true;
        if (service.ended_) uv_stop(&service.loop_);
      });
  CHECK(queued == 0);
}

// Before clients are told what follows from it.
void Service::write_trace() {
  if (trace_ == nullptr) return;
  trace_->flush();
  if (const std::string failure = trace_->failure(); !failure.empty()) {
    log_.error("the trace of the ring can not be written; lockd goes on without it",
               {{"cause", failure}});
  }
}

// Before clients are told that they are in a lockspace.
void Service::write_tree() {
  const State* table = daemon_->replica().table();
  if (!tree_ || table == nullptr) return;
  if (const auto written = tree_->publish(table->lockspaces()); !written) {
    log_.repeated(LogLevel::error, "the dlm_tree does not show the lockspaces as they are",
                  {{"cause", written.error()}});
  }
}

void Service::stop() {
  if (stopping_) return end();
  stopping_ = true;
  clients_->stop_listening();
  daemon_->stop(read_clocks());
  unsettled_ = true;
}

void Service::reread_keys() {
  auto keys = evs::net::read_key_file(key_file_);
  if (!keys) {
    log_.error("keys not reread", {{"cause", keys.error()}});
    return;
  }
  keys->set_cluster(cluster_);
  if (const auto used = member_->use_keys(*keys); !used) {
    log_.error("keys not reread", {{"cause", used.error()}});
    return;
  }
  log_.info("keys reread", {{"keys", keys->keys.size()}, {"in_use", base::value(keys->in_use)}});
}

// Tells the ring, lets go of clients and sockets, and ends the loop when the disk is done too.
void Service::end() {
  if (ended_) return;
  ended_ = true;
  flush();
  if (!daemon_->failure()) {
    if (trace_ != nullptr) trace_->left();
    member_->leave();
  }
  if (tree_) tree_->end();
  clients_.reset();
  if (!writing_) uv_stop(&loop_);
}

}  // namespace lockd
