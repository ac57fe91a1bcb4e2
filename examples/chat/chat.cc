// A chat without a server: each program is a member of the ring, and all print the same lines in
// the same order.  chat KEYFILE SELF ID=ADDRESS...   e.g.  chat key 1 1=127.0.0.1:7001
// 2=127.0.0.1:7002
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "evs/net/embedded_member.h"

struct Chat : evs::net::EmbeddedMember::Listener {
  void on_message(evs::Delivery&& message) override {
    std::printf("%s: %s\n", base::to_string(message.sender.node).c_str(),
                base::text_of(message.payload).c_str());
    if (message.sender == member->self() && --under_way == 0 && ended) uv_stop(&loop);
  }

  void on_configuration(const evs::ConfigurationChange& change) override {
    if (change.configuration.kind != evs::ConfigurationKind::regular) return;
    std::string here = "here:";
    for (const auto& one : change.configuration.members) here += " " + base::to_string(one.node);
    std::puts(here.c_str());
  }

  void read_keyboard() {
    char bytes[4096];
    const ssize_t size = read(STDIN_FILENO, bytes, sizeof bytes);
    for (ssize_t i = 0; i < size; ++i) {
      if (bytes[i] != '\n') {
        line += bytes[i];
        continue;
      }
      const bool sent = member->multicast(evs::Service::safe, base::bytes_of(line)).has_value();
      sent ? ++under_way : std::puts("(too fast, or too long: not sent)");
      line.clear();
    }
    if (size > 0) return;
    ended = true;
    uv_poll_stop(&keyboard);
    if (under_way == 0) uv_stop(&loop);
  }

  uv_loop_t loop{};
  uv_poll_t keyboard{};
  std::unique_ptr<evs::net::EmbeddedMember> member;
  std::string line;
  int under_way = 0;  // Own messages that have not come back.
  bool ended = false;
};

int main(int argc, char** argv) {
  if (argc < 4) return std::fputs("chat KEYFILE SELF ID=ADDRESS...\n", stderr), 64;
  evs::net::EmbeddedConfig config;
  config.cluster = "chat";
  config.key_file = argv[1];
  config.self = base::NodeId(std::strtoul(argv[2], nullptr, 10));
  for (const std::string node : std::vector<const char*>(argv + 3, argv + argc))
    config.nodes[base::NodeId(std::stoul(node))] = node.substr(node.find('=') + 1);

  std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);
  Chat chat;
  uv_loop_init(&chat.loop);
  auto member = evs::net::EmbeddedMember::create(chat.loop, config, chat);
  if (!member) return std::fprintf(stderr, "chat: %s\n", member.error().c_str()), 1;
  chat.member = std::move(*member);
  chat.keyboard.data = &chat;
  uv_poll_init(&chat.loop, &chat.keyboard, STDIN_FILENO);
  uv_poll_start(&chat.keyboard, UV_READABLE,
                [](uv_poll_t* poll, int, int) { static_cast<Chat*>(poll->data)->read_keyboard(); });
  uv_run(&chat.loop, UV_RUN_DEFAULT);
  chat.member->leave();
  chat.member.reset();
  uv_close(reinterpret_cast<uv_handle_t*>(&chat.keyboard), nullptr);
  uv_run(&chat.loop, UV_RUN_DEFAULT);
  return uv_loop_close(&chat.loop) == 0 ? 0 : 1;
}
