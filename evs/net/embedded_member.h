// A ring member for programs that want no daemon: Member (evs/net/member.h) behind the few calls
// that such a program needs, and behind headers that can be installed.
//
// All members of a ring run the same version of this library, have the same nodes, key and cluster,
// and reach each other by UDP. What a member is told is one stream: messages in the one order that
// all have, and the changes of configuration between them (evs/event.h). That needs no majority: in
// every part of a split network the ring goes on with those who are there.
//
// Nothing here blocks, starts a thread or may be called from another thread than the loop's.
#pragma once

#include <uv.h>

#include <cstddef>
#include <map>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "evs/explanation.h"
#include "evs/node.h"

namespace evs::net {

struct EmbeddedConfig {
  base::NodeId self{};

  // Each node that can be in the ring, this one included, with its address as this node reaches it:
  // "192.0.2.1:7001" or "[2001:db8::1]:7001", all of one kind. At most kMembersMax.
  std::map<base::NodeId, std::string> nodes;

  // A file of 32 random bytes that only its owner can read, the same on all nodes, as `lockctl
  // keygen` writes one; or the list of keys that `lockctl keys` makes of it.
  std::string key_file;

  // Names the ring, 1 to 16 bytes: members of another one are not heard, with the same key too.
  std::string cluster;

  // Empty, or a multicast group with a port, the same on all nodes: what is for several nodes is
  // sent there once.
  std::string multicast;

  // Times, windows and limits; the defaults suit a local network. `self` and `nodes` of it are
  // filled in from the ones above.
  Config ring;
};

class EmbeddedMember {
 public:
  // Called from the loop, in its thread, never from within a call of this class. Each may call
  // everything of the member but its destructor.
  class Listener {
   public:
    virtual ~Listener() = default;

    // A message was delivered; the member's own ones are too. It belongs to the configuration of
    // the last on_configuration(), and may be kept or moved from.
    virtual void on_message(Delivery&& message) = 0;

    // The first one has this member alone, and comes before anything else.
    virtual void on_configuration(const ConfigurationChange& change) = 0;

    // multicast() has answered try_again, and there is room now.
    virtual void on_writable() {}
  };

  // Reads the key, binds this node's address and starts; the ring forms while the loop runs. `loop`
  // and `listener` are borrowed, and outlive the member. The error is a sentence for people that
  // says what is wrong, and what to do. Reading the file may wait for the disk.
  static base::Result<std::unique_ptr<EmbeddedMember>, std::string> create(
      uv_loop_t& loop, const EmbeddedConfig& config, Listener& listener);

  // Falls silent at once; the others find out by their time-outs. Call leave() before, to tell
  // them. The loop must run once more before it is closed.
  ~EmbeddedMember();
  EmbeddedMember(const EmbeddedMember&) = delete;
  EmbeddedMember& operator=(const EmbeddedMember&) = delete;

  // Takes a copy of up to kMessageBytesMax bytes, to be delivered to every member of the
  // configuration in which it is numbered, this one included, in the place of the order that it
  // gets there. With Service::safe it is delivered when every member has it, or when those that are
  // lost are told to be. Errors: try_again, the queue is full and on_writable() follows; too_long;
  // left, after leave().
  base::Result<void, MulticastError> multicast(Service service, base::Bytes payload);

  // Tells the others, for good, and sends nothing any more. What waits in the queue is dropped: who
  // wants it delivered waits for its own last message first. Harmless when repeated.
  void leave();

  // The name of this life of the node: another one each time it starts.
  Processor self() const;

  // The regular configuration that stands. Borrowed until the next turn of the loop.
  const Configuration& configuration() const;

  // How the ring is, and why it changed last; copies.
  NodeStatus status() const;
  Explanation why() const;

 private:
  class Impl;
  explicit EmbeddedMember(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace evs::net
