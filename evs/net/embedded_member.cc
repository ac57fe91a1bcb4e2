#include "evs/net/embedded_member.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "evs/net/clocks.h"
#include "evs/net/key_file.h"
#include "evs/net/member.h"

namespace evs::net {

class EmbeddedMember::Impl : private Member::Listener {
 public:
  explicit Impl(EmbeddedMember::Listener& listener) : listener_(listener) {}

  base::Result<void, std::string> start(uv_loop_t& loop, const MemberConfig& config) {
    auto member = Member::create(loop, config, *this);
    if (!member) return base::error(member.error());
    member_ = std::move(*member);
    return {};
  }

  base::Result<void, MulticastError> multicast(Service service, base::Bytes payload) {
    auto taken = member_->multicast(service, payload);
    if (!taken && taken.error() == MulticastError::try_again) awaited_ = payload.size();
    return taken;
  }

  Member& member() { return *member_; }

 private:
  void on_event(Instant, Event&& event) override {
    if (auto* delivery = std::get_if<Delivery>(&event)) {
      listener_.on_message(std::move(*delivery));
    } else {
      listener_.on_configuration(std::get<ConfigurationChange>(event));
    }
  }

  void on_progress(Instant) override {
    if (!awaited_ || member_->node().send_room() < *awaited_) return;
    awaited_.reset();
    listener_.on_writable();
  }

  EmbeddedMember::Listener& listener_;
  std::unique_ptr<Member> member_;
  std::optional<std::size_t> awaited_;  // Room for a message as long as the last one refused.
};

EmbeddedMember::EmbeddedMember(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
EmbeddedMember::~EmbeddedMember() = default;

base::Result<std::unique_ptr<EmbeddedMember>, std::string> EmbeddedMember::create(
    uv_loop_t& loop, const EmbeddedConfig& config, Listener& listener) {
  ClusterId cluster{};
  if (config.cluster.empty() || config.cluster.size() > cluster.size()) {
    return base::error(std::string("cluster: a name of 1 to 16 bytes is needed"));
  }
  std::memcpy(cluster.data(), config.cluster.data(), config.cluster.size());
  auto keys = read_key_file(config.key_file);
  if (!keys) return base::error(keys.error());
  keys->set_cluster(cluster);

  MemberConfig member;
  member.ring = config.ring;
  member.ring.self = config.self;
  member.ring.nodes.clear();
  for (const auto& [node, address] : config.nodes) {
    member.ring.nodes.push_back(node);
    member.nodes.push_back({node, {address}});
  }
  member.keys = std::move(*keys);
  member.multicast = config.multicast;

  auto impl = std::make_unique<Impl>(listener);
  if (const auto started = impl->start(loop, member); !started) return base::error(started.error());
  return std::unique_ptr<EmbeddedMember>(new EmbeddedMember(std::move(impl)));
}

base::Result<void, MulticastError> EmbeddedMember::multicast(Service service, base::Bytes payload) {
  return impl_->multicast(service, payload);
}

void EmbeddedMember::leave() {
  impl_->member().leave();
}

Processor EmbeddedMember::self() const {
  return impl_->member().node().self();
}

const Configuration& EmbeddedMember::configuration() const {
  return impl_->member().node().regular();
}

NodeStatus EmbeddedMember::status() const {
  return impl_->member().node().status(read_clocks());
}

Explanation EmbeddedMember::why() const {
  const Node& node = impl_->member().node();
  return explain(node.config().nodes, node.recorder().records());
}

}  // namespace evs::net
