// A ring member on a libuv loop: an evs::Node with sockets, clocks, sealing and randomness around
// it. The protocol is the node's, the datagrams' seal is record.h's. Not thread-safe: everything
// happens on the loop's thread, and nothing blocks.
#pragma once

#include <uv.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "evs/config.h"
#include "evs/event.h"
#include "evs/net/address.h"
#include "evs/net/alarm.h"
#include "evs/net/keyring.h"
#include "evs/net/mbedtls_aead.h"
#include "evs/net/opener.h"
#include "evs/net/record.h"
#include "evs/net/repeater.h"
#include "evs/net/sealer.h"
#include "evs/net/send_queue.h"
#include "evs/net/udp_socket.h"
#include "evs/node.h"

namespace evs::net {

struct NodeAddresses {
  base::NodeId id{};

  // As this node sees them. The first is used, the others are for redundant links to come.
  std::vector<std::string> addresses;
};

struct MemberConfig {
  Config ring;
  std::vector<NodeAddresses> nodes;  // One for each of ring.nodes, in any order.
  Keyring keys;                      // With their cluster.
  Cipher cipher = Cipher::chacha20_poly1305;

  // The kernel may send and receive several datagrams at once, where it can. They may then get lost
  // together.
  bool offload = true;

  // A multicast group with a port, to which what is for several nodes is sent once. All nodes have
  // the same. Empty: each gets a copy of its own.
  std::string multicast;

  // Copies of what is sent, for networks that lose nearly everything.
  Redundancy redundancy;
};

struct LinkStatistics {
  std::uint64_t received = 0;     // Datagrams, before anything is asked of them.
  std::uint64_t from_group = 0;   // Of those, by multicast; some are our own.
  std::uint64_t opened = 0;       // Of those, accepted; Member::refused() has the others.
  std::uint64_t sealed = 0;       // Datagrams, each for one or more nodes.
  std::uint64_t copies = 0;       // Sent again as they were, each for one or more nodes.
  std::uint64_t dropped = 0;      // Not sealed, because the send queue was full.
  std::uint64_t waiting = 0;      // In the send queue now.
  std::uint64_t send_errors = 0;  // Refused by the kernel for one receiver.
  std::uint64_t receive_errors = 0;
  int last_send_error = 0;  // An errno.
};

class Member {
 public:
  // Called from the loop, never from within multicast(), leave() or create(). Either may call
  // multicast() and leave(); neither may destroy the member.
  class Listener {
   public:
    virtual ~Listener() = default;

    virtual void on_event(Instant now, Event&& event) = 0;

    // The node has had an input, and every event of it has been handed over. Node::evidence() and
    // send_room() may have changed.
    virtual void on_progress(Instant now) = 0;
  };

  // Tests the cryptography, binds this node's first address and starts the node. `loop` and
  // `listener` outlive the member; `trace` may be null. The error says what is wrong, and what to
  // do.
  static base::Result<std::unique_ptr<Member>, std::string> create(uv_loop_t& loop,
                                                                   const MemberConfig& config,
                                                                   Listener& listener,
                                                                   TraceSink* trace = nullptr);

  // Silent from now on, without telling the others: call leave() for that. The loop must run once
  // more before it is closed.
  ~Member();
  Member(const Member&) = delete;
  Member& operator=(const Member&) = delete;

  // As evs::Node has them.
  base::Result<void, MulticastError> multicast(Service service, base::Bytes payload);
  void leave();

  // From now on these keys open, and their key in use seals. The ring does not notice, as long as
  // each member has the key that another one seals with. Refused, and nothing changed, if the key
  // in use is not among them. Each other member is told by a challenge, which may get lost.
  base::Result<void, std::string> use_keys(const Keyring& keys);

  KeyId key_in_use() const { return sealer_.key_id(); }

  // Which key another node was last heard to seal with; none while it has not proved to be alive.
  std::optional<KeyId> key_of(base::NodeId node) const { return opener_.key_of(node); }

  // Borrowed. For what only looks: state(), regular(), evidence(), send_room(), statistics().
  const Node& node() const { return node_; }

  LinkStatistics statistics() const;
  std::uint64_t refused(Refusal why) const { return opener_.refused(why); }

 private:
  // What create() has found out.
  struct Parts {
    std::unique_ptr<UdpSocket> socket;
    std::vector<Address> addresses;
    std::unique_ptr<UdpSocket> group_socket;  // Null without multicast.
    std::optional<Address> group;
    std::unique_ptr<Alarm> alarm;
  };

  Member(uv_loop_t& loop, const MemberConfig& config, Parts parts, const Salt& salt,
         Listener& listener, TraceSink* trace);

  static base::Result<std::vector<Address>, std::string> addresses_of(const MemberConfig& config);
  static base::Result<void, std::string> join_group(const std::string& multicast,
                                                    const Address& own, Parts& parts);

  void turn();
  void receive(UdpSocket& socket, std::uint64_t& count);
  void settle();
  void transmit();
  void send_handshakes();
  void send(RecordType type, NodeMask to, base::Bytes text);
  void repeat();
  NodeMask mask_of(base::NodeId node) const;
  void wait();

  Listener& listener_;
  std::vector<base::NodeId> nodes_;  // In the order of NodeMask's bits.
  MbedtlsAead aead_;
  std::unique_ptr<UdpSocket> socket_;
  std::unique_ptr<UdpSocket> group_socket_;
  Sealer sealer_;
  Opener opener_;
  SendQueue queue_;
  Repeater repeater_;
  Instant now_;  // The last reading of the clocks: inputs to the node never go back in time.
  Node node_;
  std::uint64_t received_ = 0;
  std::uint64_t from_group_ = 0;
  std::uint64_t dropped_ = 0;
  bool in_turn_ = false;
  bool unsettled_ = true;  // The node had an input whose events were not all handed over.

  std::unique_ptr<Alarm> alarm_;  // At what the node or the repeater is to do next.

  // The loop owns these once they are being closed.
  uv_poll_t* poll_ = nullptr;
  uv_poll_t* group_poll_ = nullptr;  // Null without multicast.
  uv_idle_t* soon_ = nullptr;
  int awaited_ = 0;  // What poll_ is watching for.
};

}  // namespace evs::net
