#include "lockd/ring_message.h"

#include <utility>

#include "evs/config.h"

namespace lockd {
namespace {

using base::ByteReader;
using base::ByteWriter;
using base::Duration;

// Kinds in the order of RingMessage::Body; never reused for another meaning.
enum class Kind : std::uint8_t {
  exchange = 0x10,
  persisted,
  activate,
  ordered,
  want,
  snapshot,
  chunk,
  ready,
  digest,
  raise,
  raised,
};

Duration read_duration(ByteReader& in) {
  const std::uint64_t count = in.u64();
  if (count > static_cast<std::uint64_t>(Duration::max().count())) {
    in.fail();
    return Duration::zero();
  }
  return Duration(static_cast<Duration::rep>(count));
}

void write_duration(ByteWriter& out, Duration duration) {
  out.u64(static_cast<std::uint64_t>(duration.count()));
}

bool read_flag(ByteReader& in) {
  return in.count8(1) == 1;
}

void write_flag(ByteWriter& out, bool flag) {
  out.u8(flag ? 1 : 0);
}

void write_label(ByteWriter& out, const Label& label) {
  write_epoch(out, label.epoch);
  out.u64(label.chain);
}

Label read_label(ByteReader& in) {
  Label label;
  label.epoch = read_epoch(in);
  label.chain = in.u64();
  return label;
}

void write_departures(ByteWriter& out, const std::vector<Departure>& departures) {
  out.u8(static_cast<std::uint8_t>(departures.size()));
  for (const Departure& departure : departures) {
    out.processor(departure.processor);
    out.ring(departure.ring);
  }
}

std::vector<Departure> read_departures(ByteReader& in) {
  std::vector<Departure> departures(in.count8(evs::kMembersMax));
  for (Departure& departure : departures) {
    departure.processor = in.processor();
    departure.ring = in.ring();
  }
  return departures;
}

void write_id(ByteWriter& out, const SnapshotId& id) {
  out.ring(id.ring);
  out.u64(id.number);
}

SnapshotId read_id(ByteReader& in) {
  SnapshotId id;
  id.ring = in.ring();
  id.number = in.u64();
  return id;
}

void write_record(ByteWriter& out, const RecordClaim& record) {
  out.u8(static_cast<std::uint8_t>(record.role));
  write_epoch(out, record.last_active);
  out.u8(static_cast<std::uint8_t>(record.attempts.size()));
  for (const Attempt& attempt : record.attempts) {
    write_attempt(out, attempt);
  }
  out.u64(record.token_ceiling);
  write_duration(out, record.lease_max);
}

RecordClaim read_record(ByteReader& in) {
  RecordClaim record;
  record.role = static_cast<RecordRole>(in.u8());
  if (record.role != RecordRole::voter && record.role != RecordRole::amnesiac) {
    in.fail();
  }
  record.last_active = read_epoch(in);
  record.attempts.resize(in.count8(kRecordAttemptsMax));
  for (Attempt& attempt : record.attempts) {
    attempt = read_attempt(in);
  }
  record.token_ceiling = in.u64();
  record.lease_max = read_duration(in);
  return record;
}

void write_table(ByteWriter& out, const TableClaim& table) {
  write_label(out, table.label);
  out.u64(table.position);
  out.u64(table.digest);
  out.u64(table.next_token);
  write_duration(out, table.longest_lease);
  write_departures(out, table.departures);
}

TableClaim read_table(ByteReader& in) {
  TableClaim table;
  table.label = read_label(in);
  table.position = in.u64();
  table.digest = in.u64();
  table.next_token = in.u64();
  table.longest_lease = read_duration(in);
  table.departures = read_departures(in);
  return table;
}

void write_body(ByteWriter& out, base::Buffer&, const Exchange& m) {
  out.u8(static_cast<std::uint8_t>(Kind::exchange));
  out.u64(m.fingerprint);
  write_duration(out, m.lease);
  write_flag(out, m.record.has_value());
  if (m.record) {
    write_record(out, *m.record);
  }
  write_flag(out, m.table.has_value());
  if (m.table) {
    write_table(out, *m.table);
  }
  out.u8(static_cast<std::uint8_t>(m.delivered.size()));
  for (const Delivered& delivered : m.delivered) {
    write_attempt(out, delivered.attempt);
    write_flag(out, delivered.regular);
  }
  out.u64(m.forgotten);
}

Exchange read_exchange(ByteReader& in) {
  Exchange m;
  m.fingerprint = in.u64();
  m.lease = read_duration(in);
  if (read_flag(in)) {
    m.record = read_record(in);
  }
  if (read_flag(in)) {
    m.table = read_table(in);
  }
  m.delivered.resize(in.count8(kDeliveredMax));
  for (Delivered& delivered : m.delivered) {
    delivered.attempt = read_attempt(in);
    delivered.regular = read_flag(in);
  }
  m.forgotten = in.u64();
  return m;
}

void write_body(ByteWriter& out, base::Buffer&, const Persisted& m) {
  out.u8(static_cast<std::uint8_t>(Kind::persisted));
  out.u64(m.token_base);
}

void write_body(ByteWriter& out, base::Buffer&, const Activate& m) {
  out.u8(static_cast<std::uint8_t>(Kind::activate));
  out.u64(m.number);
  write_flag(out, m.donor.has_value());
  if (m.donor) {
    write_label(out, *m.donor);
  }
  write_departures(out, m.departures);
  write_processors(out, m.voters);
  out.u64(m.token_base);
  write_duration(out, m.lease_max);
  write_duration(out, m.cold_lease);
}

Activate read_activate(ByteReader& in) {
  Activate m;
  m.number = in.u64();
  if (read_flag(in)) {
    m.donor = read_label(in);
  }
  m.departures = read_departures(in);
  m.voters = read_processors(in);
  m.token_base = in.u64();
  m.lease_max = read_duration(in);
  m.cold_lease = read_duration(in);
  return m;
}

void write_ordered(ByteWriter& out, std::uint64_t number) {
  out.u8(static_cast<std::uint8_t>(Kind::ordered));
  out.u64(number);
}

void write_body(ByteWriter& out, base::Buffer& buffer, const Ordered& m) {
  write_ordered(out, m.number);
  encode(m.command, buffer);
}

Ordered read_ordered(const RingId& ring, ByteReader& in) {
  Ordered m;
  m.number = in.u64();
  std::optional<Command> command = decode_command(ring, in.rest());
  if (command) {
    m.command = std::move(*command);
  } else {
    in.fail();
  }
  return m;
}

void write_body(ByteWriter& out, base::Buffer&, const Want& m) {
  out.u8(static_cast<std::uint8_t>(Kind::want));
  write_flag(out, m.rest.has_value());
  if (m.rest) {
    write_id(out, m.rest->id);
    out.u64(m.rest->offset);
  }
}

Want read_want(ByteReader& in) {
  Want m;
  if (read_flag(in)) {
    const SnapshotId id = read_id(in);
    m.rest = Want::Rest{id, in.u64()};
  }
  return m;
}

void write_body(ByteWriter& out, base::Buffer&, const Snapshot& m) {
  out.u8(static_cast<std::uint8_t>(Kind::snapshot));
  out.u64(m.number);
}

void write_body(ByteWriter& out, base::Buffer&, const Chunk& m) {
  out.u8(static_cast<std::uint8_t>(Kind::chunk));
  write_id(out, m.id);
  out.u64(m.digest);
  out.u8(m.last ? 1 : 0);
  out.u64(m.offset);
  out.bytes(m.bytes);
}

Chunk read_chunk(ByteReader& in) {
  Chunk m;
  m.id = read_id(in);
  m.digest = in.u64();
  m.last = read_flag(in);
  m.offset = in.u64();
  const base::Bytes bytes = in.rest();
  m.bytes.assign(bytes.begin(), bytes.end());
  return m;
}

void write_body(ByteWriter& out, base::Buffer&, const Ready& m) {
  out.u8(static_cast<std::uint8_t>(Kind::ready));
  write_id(out, m.id);
  out.u64(m.digest);
}

Ready read_ready(ByteReader& in) {
  Ready m;
  m.id = read_id(in);
  m.digest = in.u64();
  return m;
}

void write_body(ByteWriter& out, base::Buffer&, const DigestVote& m) {
  out.u8(static_cast<std::uint8_t>(Kind::digest));
  out.u64(m.step);
  out.u64(m.digest);
}

DigestVote read_digest(ByteReader& in) {
  DigestVote m;
  m.step = in.u64();
  m.digest = in.u64();
  return m;
}

void write_body(ByteWriter& out, base::Buffer&, const Raise& m) {
  out.u8(static_cast<std::uint8_t>(Kind::raise));
  out.u64(m.token_ceiling);
}

void write_body(ByteWriter& out, base::Buffer&, const Raised& m) {
  out.u8(static_cast<std::uint8_t>(Kind::raised));
  out.u64(m.token_ceiling);
}

std::optional<RingMessage::Body> read_body(const RingId& ring, ByteReader& in) {
  switch (static_cast<Kind>(in.u8())) {
    case Kind::exchange:
      return read_exchange(in);
    case Kind::persisted:
      return Persisted{in.u64()};
    case Kind::activate:
      return read_activate(in);
    case Kind::ordered:
      return read_ordered(ring, in);
    case Kind::want:
      return read_want(in);
    case Kind::snapshot:
      return Snapshot{in.u64()};
    case Kind::chunk:
      return read_chunk(in);
    case Kind::ready:
      return read_ready(in);
    case Kind::digest:
      return read_digest(in);
    case Kind::raise:
      return Raise{in.u64()};
    case Kind::raised:
      return Raised{in.u64()};
  }
  return std::nullopt;
}

}  // namespace

base::Buffer encode(const RingMessage& message) {
  base::Buffer buffer;
  ByteWriter out(buffer);
  out.ring(message.ring);
  std::visit([&](const auto& body) { write_body(out, buffer, body); }, message.body);
  return buffer;
}

base::Buffer encode_ordered(const RingId& ring, std::uint64_t number, base::Bytes command) {
  constexpr std::size_t kHeadBytes = 20 + 1 + 8;
  base::Buffer buffer;
  buffer.reserve(kHeadBytes + command.size() + 1);  // The daemon says at the end what it is.
  ByteWriter out(buffer);
  out.ring(ring);
  write_ordered(out, number);
  out.bytes(command);
  return buffer;
}

std::optional<RingMessage> decode_ring_message(base::Bytes bytes) {
  ByteReader in(bytes);
  RingMessage message;
  message.ring = in.ring();
  std::optional<RingMessage::Body> body = read_body(message.ring, in);
  if (!body || !in.finish()) {
    return std::nullopt;
  }
  message.body = std::move(*body);
  return message;
}

}  // namespace lockd
