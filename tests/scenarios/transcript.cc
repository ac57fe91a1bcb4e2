#include "tests/scenarios/transcript.h"

#include <variant>

namespace scenarios {

namespace {

std::string text_of(const std::vector<base::Processor>& processors, const LifeNames& lives) {
  std::string text;
  for (const base::Processor& processor : processors) {
    text += (text.empty() ? "" : ",") + lives.at(processor);
  }
  return text;
}

Told told_of(const evs::ConfigurationChange& change, const LifeNames& lives) {
  Told told;
  told.configuration = true;
  told.id = change.configuration.id;
  const bool regular = change.configuration.kind == evs::ConfigurationKind::regular;
  told.before = regular ? "regular" : "transitional";
  told.after = text_of(change.configuration.members, lives);
  if (!change.departed.empty()) told.after += " left " + text_of(change.departed, lives);
  if (!change.joined.empty()) told.after += " joined " + text_of(change.joined, lives);
  return told;
}

// A row of messages: those of a `send ... times N` are called NAME.1 to NAME.N.
struct Row {
  std::string service;
  std::string sender;
  std::string name;
  std::uint64_t first = 0;  // 0: a message of its own.
  std::uint64_t last = 0;
  std::size_t bytes = 0;

  bool followed_by(const Row& next) const {
    return last != 0 && next.first == last + 1 && next.service == service &&
           next.sender == sender && next.name == name && next.bytes == bytes;
  }

  Told told() const {
    Told line;
    line.before = service + " " + name;
    if (last != 0) line.before += "." + std::to_string(first);
    if (last > first) line.before += ".." + std::to_string(last);
    line.before += " from " + sender;
    if (bytes != 0) line.before += " of " + std::to_string(bytes) + " bytes";
    return line;
  }
};

Row row_of(const evs::Delivery& delivery, const LifeNames& lives) {
  constexpr const char* kServices[] = {"unordered", "fifo", "agreed", "safe"};
  Row row;
  row.service = kServices[static_cast<std::size_t>(delivery.service)];
  row.sender = lives.at(delivery.sender);
  const std::string text = base::text_of(delivery.payload);
  row.name = text.substr(0, text.find(' '));
  if (text.size() > row.name.size()) row.bytes = text.size();
  if (payload_of(row.name, row.bytes) != delivery.payload) {
    row.name = "DAMAGED";
    return row;
  }
  const std::size_t dot = row.name.find('.');
  if (dot != std::string::npos) {
    row.first = row.last = std::stoull(row.name.substr(dot + 1));
    row.name.resize(dot);
  }
  return row;
}

}  // namespace

base::Buffer payload_of(const std::string& name, std::size_t bytes) {
  std::string text = name;
  if (bytes > text.size()) text += ' ';
  while (text.size() < bytes) text += static_cast<char>('a' + text.size() % 23);
  const base::Bytes borrowed = base::bytes_of(text);
  return {borrowed.begin(), borrowed.end()};
}

std::vector<Told> transcript_of(const std::vector<evs::Event>& events, std::size_t from,
                                const LifeNames& lives) {
  std::vector<Told> lines;
  Row row;
  const auto finish_row = [&] {
    if (!row.service.empty()) lines.push_back(row.told());
    row = {};
  };
  for (std::size_t i = from; i < events.size(); ++i) {
    if (const auto* change = std::get_if<evs::ConfigurationChange>(&events[i])) {
      finish_row();
      lines.push_back(told_of(*change, lives));
      continue;
    }
    const Row next = row_of(std::get<evs::Delivery>(events[i]), lives);
    if (row.followed_by(next)) {
      row.last = next.last;
    } else {
      finish_row();
      row = next;
    }
  }
  finish_row();
  return lines;
}

ConfigurationNames::ConfigurationNames(const RingNames& named) {
  for (const auto& [name, id] : named) agree(name, id);
}

bool ConfigurationNames::agree(const std::string& name, const base::RingId& id) {
  const auto found = names_.find(id);
  if (found != names_.end()) return found->second == name;
  if (!used_.insert(name).second) return false;
  names_[id] = name;
  return true;
}

std::string ConfigurationNames::name_of(const Told& told) {
  const std::string letter = told.before == "regular" ? "R" : "T";
  for (int number = 1; names_.count(told.id) == 0; ++number) {
    agree(letter + std::to_string(number), told.id);
  }
  return names_.at(told.id);
}

std::string ConfigurationNames::text_of(const Told& told) {
  return told.configuration ? told.before + " " + name_of(told) + " " + told.after : told.before;
}

}  // namespace scenarios
