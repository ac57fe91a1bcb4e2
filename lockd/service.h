// A daemon in its process: the driver's loop of lockd/daemon.h on libuv, with the ring member, the
// clients' socket, the record's file and the log around it. It decides nothing.
#pragma once

#include <uv.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "evs/net/keyring.h"
#include "evs/net/member.h"
#include "lockd/client_server.h"
#include "lockd/clock_watch.h"
#include "lockd/config.h"
#include "lockd/daemon.h"
#include "lockd/dlm_tree.h"
#include "lockd/evs_trace.h"
#include "lockd/log.h"
#include "lockd/record_file.h"
#include "lockd/ring_log_file.h"

namespace lockd {

class Service : private evs::net::Member::Listener, private ClientServer::Listener {
 public:
  // Binds everything and joins the ring; `loop`, `log`, `record` and `trace`, which may be null,
  // outlive the service. The error says what is wrong, and what to do.
  static base::Result<std::unique_ptr<Service>, std::string> start(uv_loop_t& loop,
                                                                   const Config& config,
                                                                   const evs::net::Keyring& keys,
                                                                   RecordFile& record, Log& log,
                                                                   EvsTrace* trace);

  // The loop must run once more before it is closed. No record may be being written.
  ~Service() override;
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  // Leaves cleanly and then ends the loop; a second call ends it at once.
  void stop();

  // Reads the key file again, and uses its keys from now on. If the file is not as it has to be,
  // the keys stay as they are, and the log says why.
  void reread_keys();

  // Why the daemon had to stop, if it had to.
  const std::optional<std::string>& failure() const { return daemon_->failure(); }

 private:
  // A record on its way to the disk, by a worker of the loop.
  struct Writing;

  Service(uv_loop_t& loop, RecordFile& record, Log& log, EvsTrace* trace);

  base::Result<void, std::string> open(const Config& config, evs::net::Keyring keys);

  // The ring.
  void on_event(Instant now, evs::Event&& event) override;
  void on_progress(Instant now) override;

  // The clients.
  void on_connect(ConnectionId connection, const Peer& peer) override;
  void on_bytes(ConnectionId connection, base::Bytes bytes) override;
  void on_hang_up(ConnectionId connection, HangUp how) override;
  void on_writable(ConnectionId connection) override;

  void before_waiting();
  void watch_clocks(Instant now);
  void pump(Instant now);
  void flush();
  void write_events();
  void write_record();
  void write_trace();
  void write_tree();
  void end();

  uv_loop_t& loop_;
  RecordFile& record_;
  Log& log_;
  EvsTrace* trace_;  // Null: nothing is recorded.
  std::unique_ptr<evs::net::Member> member_;
  ClockWatch clock_watch_;
  std::optional<RingLogFile> ring_log_;  // Reads what the member has recorded.
  std::unique_ptr<Daemon> daemon_;
  std::unique_ptr<ClientServer> clients_;
  std::optional<DlmTree> tree_;
  uv_prepare_t* prepare_ = nullptr;
  uv_timer_t* timer_ = nullptr;

  std::string key_file_;
  evs::net::ClusterId cluster_{};
  std::uint64_t turned_away_told_ = 0;

  // The daemon had an input that was not carried on yet.
  bool unsettled_ = true;
  bool writing_ = false;
  bool stopping_ = false;
  bool ended_ = false;
};

}  // namespace lockd
