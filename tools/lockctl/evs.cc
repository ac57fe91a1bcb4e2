#include "tools/lockctl/evs.h"

#include <liblock/evs.h>
#include <poll.h>

#include <algorithm>
#include <iostream>
#include <memory>
#include <utility>

#include "tools/lockctl/exit_code.h"

namespace tools::lockctl {
namespace {

struct CloseEvs {
  void operator()(lock_evs* evs) const { lock_evs_close(evs); }
};
using Evs = std::unique_ptr<lock_evs, CloseEvs>;

constexpr const char* kGuarantees[] = {"unordered", "fifo", "agreed", "safe"};

lock_evs_guarantee guarantee_of(const std::string& word) {
  int number = 0;
  while (number < LOCK_EVS_SAFE && word != kGuarantees[number]) ++number;
  return static_cast<lock_evs_guarantee>(number);
}

std::vector<lock_evs_group> groups_of(const std::vector<std::string>& names) {
  std::vector<lock_evs_group> groups(names.size());
  for (std::size_t i = 0; i < names.size(); ++i) lock_evs_group_of(names[i].c_str(), &groups[i]);
  return groups;
}

std::string name_of(const lock_evs_group& group) {
  std::string name(reinterpret_cast<const char*>(group.key), sizeof group.key);
  name.resize(name.find_last_not_of('\0') + 1);
  return name;
}

EvsProcessor processor_of(const lock_evs_processor& from) {
  return {from.node, from.incarnation};
}

std::vector<EvsProcessor> processors_of(const lock_evs_processor* from, std::size_t count) {
  std::vector<EvsProcessor> all;
  for (std::size_t i = 0; i < count; ++i) all.push_back(processor_of(from[i]));
  return all;
}

EvsRing ring_of(const lock_evs_ring& from) {
  return {from.sequence, from.representative, from.nonce};
}

EvsConfiguration configuration_of(const lock_evs_configuration& from) {
  return {from.transitional != 0, ring_of(from.ring), processors_of(from.members, from.members_len),
          processors_of(from.left, from.left_len), processors_of(from.joined, from.joined_len)};
}

EvsMessage message_of(const lock_evs_delivery& from) {
  EvsMessage message;
  message.sender = processor_of(from.sender);
  message.ring = ring_of(from.ring);
  message.sequence = from.sequence;
  message.index = from.index;
  message.guarantee = kGuarantees[from.guarantee];
  for (std::size_t i = 0; i < from.groups_len; ++i) {
    message.groups.push_back(name_of(from.groups[i]));
  }
  message.bytes.assign(static_cast<const char*>(from.message), from.message_len);
  return message;
}

// What a joining instance's callbacks have.
struct Printing {
  EvsPrinters printers;
  std::uint64_t left = 0;  // Messages to come; meaningful if there is a count.
  bool counts = false;
};

void print_message(lock_evs*, const lock_evs_delivery* what, void* arg) {
  auto& printing = *static_cast<Printing*>(arg);
  if (printing.counts && printing.left == 0) return;
  printing.printers.message(message_of(*what));
  if (printing.counts) --printing.left;
}

void print_configuration(lock_evs*, const lock_evs_configuration* what, void* arg) {
  auto& printing = *static_cast<Printing*>(arg);
  if (!printing.counts || printing.left > 0) {
    printing.printers.configuration(configuration_of(*what));
  }
}

base::Result<Evs, Failure> open(const std::string& socket, Printing* printing) {
  lock_evs_options options{};
  options.size = sizeof options;
  options.socket_path = socket.c_str();
  if (printing != nullptr) {
    options.deliver = &print_message;
    options.configuration = &print_configuration;
    options.arg = printing;
  }
  lock_evs* evs = nullptr;
  const int error = lock_evs_open(&options, &evs);
  if (error != 0) return base::error(failure_of_evs(error, nullptr, socket));
  return Evs(evs);
}

// Waits for events and dispatches them; the error if the instance has ended.
int turn(lock_evs* evs) {
  pollfd ready{lock_evs_fd(evs), POLLIN, 0};
  poll(&ready, 1, -1);
  return std::min(lock_evs_dispatch(evs, 0), 0);
}

int send_one(lock_evs* evs, lock_evs_guarantee guarantee, const std::vector<lock_evs_group>& groups,
             const std::string& message) {
  for (;;) {
    const int error = lock_evs_multicast(evs, guarantee, groups.data(), groups.size(),
                                         message.data(), message.size());
    if (error != LOCK_ERROR_TRY_AGAIN) return error;
    if (const int ended = turn(evs)) return ended;
  }
}

}  // namespace

base::Result<void, Failure> evs_join(const EvsJoinOptions& options, const std::string& socket,
                                     EvsPrinters printers) {
  Printing printing{std::move(printers), options.count, options.count > 0};
  auto opened = open(socket, &printing);
  if (!opened) return base::error(opened.error());
  lock_evs* evs = opened->get();
  const auto groups = groups_of(options.groups);
  int error = lock_evs_join(evs, groups.data(), groups.size());
  while (error == 0 && (!printing.counts || printing.left > 0)) error = turn(evs);
  if (error != 0) return base::error(failure_of_evs(error, evs, socket));
  return {};
}

base::Result<void, Failure> evs_send(const EvsSendOptions& options, const std::string& socket) {
  auto opened = open(socket, nullptr);
  if (!opened) return base::error(opened.error());
  lock_evs* evs = opened->get();
  const auto groups = groups_of(options.groups);
  const auto guarantee = guarantee_of(options.guarantee);
  int error = 0;
  const auto send = [&](const std::string& message) {
    if (message.size() > LOCK_EVS_MESSAGE_BYTES_MAX) {
      return base::Result<void, Failure>(
          base::error(Failure{kUsage, "a message has at most 1048576 bytes"}));
    }
    error = send_one(evs, guarantee, groups, message);
    return base::Result<void, Failure>{};
  };
  std::string line;
  for (const std::string& message : options.messages) {
    if (error != 0) break;
    if (const auto sent = send(message); !sent) return sent;
  }
  while (options.messages.empty() && error == 0 && std::getline(std::cin, line)) {
    if (const auto sent = send(line); !sent) return sent;
  }
  while (error == 0) {
    error = lock_evs_flush(evs, -1);
    if (error != LOCK_ERROR_TRY_AGAIN) break;
    error = turn(evs);
  }
  if (error != 0) return base::error(failure_of_evs(error, evs, socket));
  return {};
}

base::Result<EvsMembers, Failure> evs_members(const std::string& socket) {
  const auto opened = open(socket, nullptr);
  if (!opened) return base::error(opened.error());
  lock_evs_processor self{};
  lock_evs_configuration current{};
  int error = lock_evs_self(opened->get(), &self);
  if (error == 0) error = lock_evs_current(opened->get(), &current);
  if (error != 0) return base::error(failure_of_evs(error, opened->get(), socket));
  return EvsMembers{processor_of(self), configuration_of(current)};
}

}  // namespace tools::lockctl
