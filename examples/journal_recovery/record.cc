#include "record.h"

#include <array>
#include <sstream>
#include <utility>

namespace journal_recovery {
namespace {

constexpr std::array kStates = {"free", "used", "recovering", "recovered"};

// FNV-1a. It finds a torn or damaged sector; it is no protection against malice.
std::uint64_t sum_of(const std::string& text) {
  std::uint64_t sum = 14695981039346656037u;
  for (const char byte : text) sum = (sum ^ static_cast<unsigned char>(byte)) * 1099511628211u;
  return sum;
}

std::string sealed(const std::string& body) {
  return body + " sum " + std::to_string(sum_of(body));
}

std::string named(const TransactionName& name) {
  return std::to_string(name.journal) + ' ' + std::to_string(name.life) + ' ' +
         std::to_string(name.sequence);
}

std::string body_of(const Block& block) {
  return "block " + std::to_string(block.number) + " balance " + std::to_string(block.balance) +
         " version " + std::to_string(block.version) + " by " + named(block.by);
}

// Takes a sealed text apart, word by word. Once something is not as expected it stays so.
class Words {
 public:
  explicit Words(const std::string& text) {
    const auto end = text.rfind(" sum ");
    const std::string body = end == std::string::npos ? "" : text.substr(0, end);
    good_ = end != std::string::npos && sealed(body) == text;
    words_.str(body);
  }

  void expect(const std::string& wanted) { good_ = good_ && word() == wanted; }

  template <typename Number>
  void expect(const std::string& wanted, Number& number) {
    expect(wanted);
    read(number);
  }

  template <typename Number>
  void read(Number& number) {
    good_ = good_ && static_cast<bool>(words_ >> number);
  }

  void read(TransactionName& name) {
    read(name.journal);
    read(name.life);
    read(name.sequence);
  }

  void read(Block& block) {
    expect("block", block.number);
    expect("balance", block.balance);
    expect("version", block.version);
    expect("by");
    read(block.by);
  }

  std::string word() {
    std::string word;
    words_ >> word;
    return word;
  }

  bool ended() { return good_ && (words_ >> std::ws).eof(); }

 private:
  std::istringstream words_;
  bool good_ = false;
};

}  // namespace

std::string text_of(const Superblock& superblock) {
  return sealed("disk journals " + std::to_string(superblock.journals) + " entries " +
                std::to_string(superblock.entries) + " blocks " +
                std::to_string(superblock.blocks) + " balance " +
                std::to_string(superblock.balance));
}

std::string text_of(const Block& block) {
  return sealed(body_of(block));
}

std::string text_of(const Header& header) {
  return sealed("journal " + std::to_string(header.journal) + ' ' +
                kStates[static_cast<std::size_t>(header.state)] + " life " +
                std::to_string(header.life) + " token " + std::to_string(header.token) +
                " generation " + std::to_string(header.generation) + " replayed " +
                std::to_string(header.replayed) + " dropped " + std::to_string(header.dropped));
}

std::string text_of(const Intent& intent) {
  return sealed("intent " + named(intent.name) + ' ' + body_of(intent.from) + ' ' +
                body_of(intent.to));
}

std::string text_of(const Mark& mark) {
  return sealed((mark.done ? "done " : "commit ") + named(mark.name));
}

std::string text_of(const TransactionName& name) {
  return std::to_string(name.journal) + '.' + std::to_string(name.life) + '.' +
         std::to_string(name.sequence);
}

std::optional<Superblock> parse_superblock(const std::string& text) {
  Words words(text);
  Superblock superblock;
  words.expect("disk");
  words.expect("journals", superblock.journals);
  words.expect("entries", superblock.entries);
  words.expect("blocks", superblock.blocks);
  words.expect("balance", superblock.balance);
  return words.ended() ? std::optional(superblock) : std::nullopt;
}

std::optional<Block> parse_block(const std::string& text) {
  Words words(text);
  Block block;
  words.read(block);
  return words.ended() ? std::optional(block) : std::nullopt;
}

std::optional<Header> parse_header(const std::string& text) {
  Words words(text);
  Header header;
  words.expect("journal", header.journal);
  const std::string state = words.word();
  words.expect("life", header.life);
  words.expect("token", header.token);
  words.expect("generation", header.generation);
  words.expect("replayed", header.replayed);
  words.expect("dropped", header.dropped);
  for (std::size_t i = 0; i < kStates.size() && words.ended(); ++i) {
    header.state = static_cast<State>(i);
    if (state == kStates[i]) return header;
  }
  return std::nullopt;
}

std::optional<Intent> parse_intent(const std::string& text) {
  Words words(text);
  Intent intent;
  words.expect("intent");
  words.read(intent.name);
  words.read(intent.from);
  words.read(intent.to);
  return words.ended() ? std::optional(intent) : std::nullopt;
}

std::optional<Mark> parse_mark(const std::string& text) {
  Words words(text);
  Mark mark;
  const std::string kind = words.word();
  mark.done = kind == "done";
  words.read(mark.name);
  return words.ended() && (mark.done || kind == "commit") ? std::optional(mark) : std::nullopt;
}

}  // namespace journal_recovery
