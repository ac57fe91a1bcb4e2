// Short ways to write requests and effects in tests.
#pragma once

#include <ostream>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "dlm/lock.h"
#include "dlm/table.h"

namespace dlm {

inline LockName lock(std::uint64_t session, std::uint64_t request) {
  return {SessionId{session}, RequestId{request}};
}

inline ResourceName in_default(std::string_view resource) {
  return {base::bytes_of("default"), base::bytes_of(resource)};
}

inline Acquire want(LockName name, std::string_view resource, Mode mode) {
  return {name, in_default(resource), mode, 0, {}, 0};
}

inline Acquire want(LockName name, std::string_view resource, Mode mode, LockFlags flags,
                    Owner owner = {}) {
  return {name, in_default(resource), mode, flags, owner, 0};
}

inline Acquire try_for(LockName name, std::string_view resource, Mode mode) {
  return {name, in_default(resource), mode, base::lock_flag::no_queue, {}, 0};
}

inline Effects acquire(Table& table, const Acquire& request) {
  Effects effects;
  table.acquire(request, effects);
  return effects;
}

inline Effects convert(Table& table, LockName name, std::uint64_t request, Mode mode,
                       LockFlags flags = 0, std::optional<ValueBlock> value = std::nullopt) {
  Effects effects;
  table.convert({name, RequestId{request}, mode, flags, value, 0}, effects);
  return effects;
}

inline Effects end(Table& table, std::uint64_t session, Ending how) {
  Effects effects;
  table.release_some(SessionId{session}, how, 1000, effects);
  return effects;
}

inline ValueBlock filled(std::uint8_t byte) {
  ValueBlock value;
  value.fill(std::byte{byte});
  return value;
}

inline Effects release(Table& table, LockName name, Token token) {
  Effects effects;
  table.release({name, token, 0, std::nullopt}, effects);
  return effects;
}

inline Effects cancel(Table& table, LockName name) {
  Effects effects;
  table.cancel(name, Status::withdrawn, effects);
  return effects;
}

// The token of a lock that must be granted.
inline Token token_of(const Table& table, LockName name) {
  const auto view = table.find(name);
  return view && view->granted ? view->token : Token{};
}

inline std::string text(const Effect& effect) {
  std::string text(to_string(effect.kind));
  text += " " + std::to_string(base::value(effect.lock.session)) + "/" +
          std::to_string(base::value(effect.lock.acquired_by));
  if (effect.kind == Effect::Kind::refused)
    return text + ": " + std::string(to_string(effect.status));
  text += " " + std::string(to_string(effect.mode));
  if (effect.token != Token{}) text += " token " + std::to_string(base::value(effect.token));
  return text;
}

// "granted 1/1 EX token 1, queued 2/1 EX"
inline std::string text(const Effects& effects) {
  std::string all;
  for (const Effect& effect : effects) all += (all.empty() ? "" : ", ") + text(effect);
  return all;
}

inline base::Buffer snapshot_of(const Table& table) {
  base::Buffer bytes;
  base::ByteWriter writer(bytes);
  table.serialize(writer);
  return bytes;
}

}  // namespace dlm
