// A table in SQLite with a lock for each row, and the two right ways to keep stale holders out of
// it. Answers lines of its input: "set KEY TOKEN VALUE" and "get KEY TOKEN" with "ok [VALUE]",
// "stale" or "error: WHY".
//   sql_table init DATABASE FENCE    Once: makes both.
//   sql_table compare DATABASE       The database compares: in the very statement that does it. Any
//                                    number of these may run.
//   sql_table beside DATABASE FENCE  A fence beside a database that knows nothing of tokens. Then
//                                    nobody may pass by the one program that has the fence.
#include <sqlite3.h>

#include <charconv>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <iostream>
#include <liblock/fence.hpp>
#include <memory>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>

constexpr const char* kTables =
    "CREATE TABLE compared (key TEXT PRIMARY KEY, value TEXT,"
    "                       seen INTEGER NOT NULL, written INTEGER NOT NULL);"
    "CREATE TABLE plain (key TEXT PRIMARY KEY, value TEXT);";

// A write needs every token seen; both tokens are raised with the value, or nothing is.
constexpr const char* kComparedSet =
    "INSERT INTO compared VALUES (?1, ?2, ?3, ?3) ON CONFLICT (key) DO UPDATE"
    " SET value = ?2, seen = ?3, written = ?3 WHERE seen <= ?3 RETURNING NULL";

// A read needs those of writes. It raises what is seen, so that no older write comes after it.
constexpr const char* kComparedGet =
    "INSERT INTO compared VALUES (?1, NULL, ?3, 0) ON CONFLICT (key) DO UPDATE"
    " SET seen = max(seen, ?3) WHERE written <= ?3 RETURNING value";

constexpr const char* kPlainSet =
    "INSERT INTO plain VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = ?2";
constexpr const char* kPlainGet = "SELECT value FROM plain WHERE key = ?1";

struct Request {
  bool set = false;
  std::string key;
  std::int64_t token = 0;  // The database has no greater numbers; a cluster does not come that far.
  std::string value;
};

class Database {
 public:
  explicit Database(const char* path) {
    sqlite3* opened = nullptr;
    check(sqlite3_open(path, &opened));
    handle_.reset(opened);
    check(sqlite3_busy_timeout(opened, 60'000));
  }

  void execute(const char* sql) {
    check(sqlite3_exec(handle_.get(), sql, nullptr, nullptr, nullptr));
  }

  // One transaction, durable when it returns: its first column, none if there was no row.
  std::optional<std::string> run(const char* sql, const Request& request) {
    sqlite3_stmt* prepared = nullptr;
    check(sqlite3_prepare_v2(handle_.get(), sql, -1, &prepared, nullptr));
    const std::unique_ptr<sqlite3_stmt, int (*)(sqlite3_stmt*)> statement(prepared,
                                                                          sqlite3_finalize);
    const int parameters = sqlite3_bind_parameter_count(prepared);
    sqlite3_bind_text(prepared, 1, request.key.c_str(), -1, SQLITE_TRANSIENT);
    if (parameters >= 2) {
      sqlite3_bind_text(prepared, 2, request.value.c_str(), -1, SQLITE_TRANSIENT);
    }
    if (parameters >= 3) sqlite3_bind_int64(prepared, 3, request.token);
    std::optional<std::string> row;
    int step;
    while ((step = sqlite3_step(prepared)) == SQLITE_ROW) {
      const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(prepared, 0));
      row = text == nullptr ? "" : text;
    }
    if (step != SQLITE_DONE) throw std::runtime_error(sqlite3_errmsg(handle_.get()));
    return row;
  }

 private:
  void check(int code) {
    if (code != SQLITE_OK) throw std::runtime_error(sqlite3_errstr(code));
  }

  std::unique_ptr<sqlite3, int (*)(sqlite3*)> handle_{nullptr, sqlite3_close};
};

std::string ok(const std::string& value) {
  return value.empty() ? "ok" : "ok " + value;
}

std::string compare(Database& database, const Request& request) {
  const auto row = database.run(request.set ? kComparedSet : kComparedGet, request);
  return row ? ok(*row) : "stale";
}

std::string beside(Database& database, ringlock::fence& fence, const Request& request) {
  const auto inside = fence.enter(
      {"rows", request.key}, request.set ? ringlock::fence_use::write : ringlock::fence_use::read,
      static_cast<std::uint64_t>(request.token));
  if (!inside) return "stale";
  return ok(database.run(request.set ? kPlainSet : kPlainGet, request).value_or(""));
}

Request parse(const std::string& line) {
  Request request;
  std::istringstream words(line);
  std::string verb, token;
  words >> verb >> request.key >> token;
  std::getline(words >> std::ws, request.value);
  request.set = verb == "set";
  const char* end = token.data() + token.size();
  const auto parsed = std::from_chars(token.data(), end, request.token);
  if ((!request.set && verb != "get") || parsed.ec != std::errc() || parsed.ptr != end ||
      request.token <= 0) {
    throw std::invalid_argument("set KEY TOKEN VALUE, or get KEY TOKEN");
  }
  return request;
}

int main(int argc, char** argv) try {
  const std::string way = argc < 3 ? "" : argv[1];
  if (!(way == "compare" && argc == 3) && !((way == "init" || way == "beside") && argc == 4)) {
    std::fputs("sql_table init DATABASE FENCE | compare DATABASE | beside DATABASE FENCE\n",
               stderr);
    return 64;
  }
  std::optional<ringlock::fence> fence;
  if (way == "init") ringlock::fence::create(argv[3]);
  if (way == "beside") fence.emplace(argv[3]);
  Database database(argv[2]);
  if (way == "init") return database.execute(kTables), 0;
  for (std::string line; std::getline(std::cin, line);) {
    std::string answer;
    try {
      const Request request = parse(line);
      answer = fence ? beside(database, *fence, request) : compare(database, request);
    } catch (const std::exception& error) {
      answer = std::string("error: ") + error.what();
    }
    std::cout << answer << std::endl;
  }
} catch (const std::exception& error) {
  std::fprintf(stderr, "sql_table: %s\n", error.what());
  return 1;
}
