// One member of a real ring as a program: multicasts each line of its standard input, and prints
// what the ring delivers. What it prints is for tests/cluster/ring_test.py, and for people who want
// to see a ring.
//
//   ring_member KEYFILE ID ID=ADDRESS... [multicast=GROUP]
//   e.g.  ring_member key 1 1=127.0.0.1:7001 2=127.0.0.1:7002
//
// A line "agreed TEXT" or "safe TEXT" is multicast; at the end of input the member waits for its
// own messages and leaves.
#include <csignal>
#include <deque>
#include <iostream>
#include <iterator>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/ids.h"
#include "evs/net/key_file.h"
#include "evs/net/member.h"

namespace {

using evs::net::Member;
using evs::net::MemberConfig;

class Program : public Member::Listener {
 public:
  explicit Program(uv_loop_t& loop) : loop_(loop) {}

  base::Result<void, std::string> start(const MemberConfig& config) {
    auto created = Member::create(loop_, config, *this);
    if (!created) return base::error(created.error());
    member_ = std::move(*created);
    uv_pipe_init(&loop_, &input_, 0);
    input_.data = this;
    if (uv_pipe_open(&input_, 0) != 0) return base::error(std::string("standard input is no pipe"));
    uv_read_start(reinterpret_cast<uv_stream_t*>(&input_), lend, on_input);
    return {};
  }

  void stop() {
    const auto statistics = member_->statistics();
    std::cout << "end sealed=" << statistics.sealed << " opened=" << statistics.opened
              << " received=" << statistics.received << " from_group=" << statistics.from_group
              << " unproved=" << member_->refused(evs::net::Refusal::unproved)
              << " forged=" << member_->refused(evs::net::Refusal::forged)
              << " replayed=" << member_->refused(evs::net::Refusal::replayed) << std::endl;
    member_.reset();
    uv_close(reinterpret_cast<uv_handle_t*>(&input_), nullptr);
  }

  void on_event(base::Instant, evs::Event&& event) override {
    if (const auto* delivery = std::get_if<evs::Delivery>(&event)) {
      on_delivery(*delivery);
    } else {
      on_change(std::get<evs::ConfigurationChange>(event));
    }
  }

  void on_progress(base::Instant) override {
    while (!waiting_.empty() && send(waiting_.front())) waiting_.pop_front();
    if (input_ended_ && waiting_.empty() && own_delivered_ == own_sent_) {
      member_->leave();
      uv_stop(&loop_);
    }
  }

 private:
  static void lend(uv_handle_t* handle, std::size_t, uv_buf_t* buffer) {
    auto& self = *static_cast<Program*>(handle->data);
    *buffer = uv_buf_init(self.lent_, sizeof self.lent_);
  }

  static void on_input(uv_stream_t* stream, ssize_t size, const uv_buf_t* buffer) {
    auto& self = *static_cast<Program*>(stream->data);
    if (size < 0) {
      uv_read_stop(stream);
      self.input_ended_ = true;
    } else {
      self.on_text({buffer->base, static_cast<std::size_t>(size)});
    }
    self.on_progress({});
  }

  void on_text(std::string_view text) {
    for (char c : text) {
      if (c != '\n') {
        line_ += c;
        continue;
      }
      waiting_.push_back(std::move(line_));
      line_.clear();
    }
  }

  // False if the ring has no room at the moment.
  bool send(const std::string& line) {
    const bool agreed = line.starts_with("agreed ");
    const auto sent = member_->multicast(agreed ? evs::Service::agreed : evs::Service::safe,
                                         base::bytes_of(line));
    if (sent) ++own_sent_;
    return sent || sent.error() != evs::MulticastError::try_again;
  }

  void on_delivery(const evs::Delivery& delivery) {
    std::cout << "message " << base::to_string(delivery.sender.node) << ' '
              << base::to_string(delivery.ring) << ' ' << delivery.sequence << '.' << delivery.index
              << ' ' << base::text_of(delivery.payload) << std::endl;
    if (delivery.sender == member_->node().self()) ++own_delivered_;
  }

  void on_change(const evs::ConfigurationChange& change) {
    const auto& configuration = change.configuration;
    std::cout << (configuration.kind == evs::ConfigurationKind::regular ? "regular "
                                                                        : "transitional ")
              << base::to_string(configuration.id);
    for (const base::Processor& processor : configuration.members) {
      std::cout << ' ' << base::to_string(processor.node);
    }
    std::cout << std::endl;
  }

  uv_loop_t& loop_;
  uv_pipe_t input_{};
  char lent_[65536];
  std::string line_;
  std::deque<std::string> waiting_;
  bool input_ended_ = false;
  std::size_t own_sent_ = 0;
  std::size_t own_delivered_ = 0;
  std::unique_ptr<Member> member_;
};

std::optional<base::NodeId> node_of(const std::string& text) {
  if (text.empty() || text.size() > 9 || text.find_first_not_of("0123456789") != text.npos)
    return {};
  return base::NodeId{static_cast<std::uint32_t>(std::stoul(text))};
}

// From the arguments ID ID=ADDRESS..., with ids in growing order.
base::Result<MemberConfig, std::string> config_of(const std::vector<std::string>& arguments) {
  MemberConfig config;
  const auto self = node_of(arguments.at(0));
  if (!self) return base::error("no node id: " + arguments[0]);
  config.ring.self = *self;
  for (std::size_t i = 1; i < arguments.size(); ++i) {
    const std::size_t sign = arguments[i].find('=');
    if (arguments[i].substr(0, sign) == "multicast" && sign != std::string::npos) {
      config.multicast = arguments[i].substr(sign + 1);
      continue;
    }
    const auto node = node_of(arguments[i].substr(0, sign));
    if (!node || sign == std::string::npos) return base::error("no ID=ADDRESS: " + arguments[i]);
    config.ring.nodes.push_back(*node);
    config.nodes.push_back({*node, {arguments[i].substr(sign + 1)}});
  }
  return config;
}

int fail(const std::string& why) {
  std::cerr << "ring_member: " << why << std::endl;
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) return fail("usage: ring_member KEYFILE ID ID=ADDRESS... [multicast=GROUP]");
  signal(SIGPIPE, SIG_IGN);
  auto config = config_of({argv + 2, argv + argc});
  if (!config) return fail(config.error());
  auto keys = evs::net::read_key_file(argv[1]);
  if (!keys) return fail(keys.error());
  config->keys = *keys;

  uv_loop_t loop;
  if (uv_loop_init(&loop) != 0) return fail("no loop");
  Program program(loop);
  if (const auto started = program.start(*config); !started) return fail(started.error());
  uv_run(&loop, UV_RUN_DEFAULT);
  program.stop();
  uv_run(&loop, UV_RUN_DEFAULT);
  return uv_loop_close(&loop) == 0 ? 0 : fail("the loop did not come to an end");
}
