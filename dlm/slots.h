// Records in pages, named by 32-bit slots and found by hash. A record never moves, and no operation
// costs more than one page and one bucket: the index is a linear hash table, which splits or merges
// a single bucket at a time, so a table of millions grows without a pause.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "dlm/pages.h"

namespace dlm {

using Slot = std::uint32_t;

inline constexpr Slot kNoSlot = 0xffffffffu;

constexpr std::uint64_t reverse_bits(std::uint64_t v) {
  v = ((v >> 1) & 0x5555555555555555u) | ((v & 0x5555555555555555u) << 1);
  v = ((v >> 2) & 0x3333333333333333u) | ((v & 0x3333333333333333u) << 2);
  v = ((v >> 4) & 0x0f0f0f0f0f0f0f0fu) | ((v & 0x0f0f0f0f0f0f0f0fu) << 4);
  v = ((v >> 8) & 0x00ff00ff00ff00ffu) | ((v & 0x00ff00ff00ff00ffu) << 8);
  v = ((v >> 16) & 0x0000ffff0000ffffu) | ((v & 0x0000ffff0000ffffu) << 16);
  return (v >> 32) | (v << 32);
}

// Records that are found by their slot alone. T has a member `Slot chain`, which is ours while the
// record is not in use.
template <typename T>
class Slab {
 public:
  T& operator[](Slot slot) { return records_[slot]; }
  const T& operator[](Slot slot) const { return records_[slot]; }

  std::size_t size() const { return size_; }

  // One more than the highest slot ever used.
  std::size_t slots() const { return used_; }

  std::size_t memory() const { return records_.memory(); }

  // A copy that is only to be read, as it is now; one at a time (dlm/pages.h).
  Slab freeze() {
    Slab frozen;
    frozen.records_ = records_.freeze();
    frozen.size_ = size_;
    frozen.used_ = used_;
    return frozen;
  }

  bool frozen() const { return records_.frozen(); }

  // Slots are given from 0 on, one after the other, until one was removed.
  Slot add(const T& record) {
    Slot slot = free_;
    if (slot != kNoSlot) {
      free_ = records_[slot].chain;
    } else {
      if (used_ == records_.capacity()) records_.add_page();
      slot = static_cast<Slot>(used_++);
    }
    records_[slot] = record;
    ++size_;
    return slot;
  }

  void remove(Slot slot) {
    records_[slot].chain = free_;
    free_ = slot;
    --size_;
  }

 private:
  PagedArray<T> records_;
  std::size_t size_ = 0;
  std::size_t used_ = 0;
  Slot free_ = kNoSlot;
};

// T has `hash() const`, which does not change while the record is in here, and a member `Slot
// chain`, which is ours.
template <typename T>
class HashedSlots {
 public:
  HashedSlots() {
    while (buckets_.capacity() < kFewestBuckets) buckets_.add_page();
    for (std::size_t i = 0; i < kFewestBuckets; ++i) buckets_[i] = kNoSlot;
  }

  // A copy that is only to be read, as it is now; one at a time (dlm/pages.h).
  HashedSlots freeze() {
    HashedSlots frozen;
    frozen.records_ = records_.freeze();
    frozen.buckets_ = buckets_.freeze();
    frozen.base_ = base_;
    frozen.split_ = split_;
    return frozen;
  }

  bool frozen() const { return records_.frozen(); }

  T& operator[](Slot slot) { return records_[slot]; }
  const T& operator[](Slot slot) const { return records_[slot]; }

  std::size_t size() const { return records_.size(); }
  std::size_t slots() const { return records_.slots(); }
  std::size_t memory() const { return records_.memory() + buckets_.memory(); }

  Slot add(const T& record) {
    const Slot slot = records_.add(record);
    push(bucket_of(record.hash()), slot);
    if (size() > bucket_count()) split();
    return slot;
  }

  void remove(Slot slot) {
    Slot* link = &buckets_[bucket_of(records_[slot].hash())];
    while (*link != slot) link = &records_[*link].chain;
    *link = records_[slot].chain;
    records_.remove(slot);
    // As many as keep pace: otherwise the buckets of a table that has become empty would all be
    // there still, for a visit to walk over.
    for (std::size_t merged = 0; merged < kBucketsOfRecord && too_many_buckets(); ++merged) merge();
  }

  // The record of this hash for which `equal` says yes, or kNoSlot.
  template <typename Equal>
  Slot find(std::uint64_t hash, const Equal& equal) const {
    Slot slot = buckets_[bucket_of(hash)];
    while (slot != kNoSlot && !equal(records_[slot])) slot = records_[slot].chain;
    return slot;
  }

  // Where a record of this hash stands in the order of a visit.
  static std::uint64_t place_of(std::uint64_t hash) { return reverse_bits(hash); }

  // Visits records in an order that depends on nothing but their hashes, from `position` on, until
  // at least `most` were visited; records of one hash are never parted. Answers where to go on, 0
  // for the end.
  template <typename Visit>
  std::uint64_t visit(std::uint64_t position, std::size_t most, const Visit& visit) const {
    std::vector<Slot> found;
    std::size_t visited = 0;
    do {
      // All hashes of a bucket end in the same `depth` bits, so reversed they are one interval, and
      // the intervals are in order whatever the number of buckets is.
      const std::size_t bucket = bucket_of(reverse_bits(position));
      const bool split_already = bucket < split_ || bucket >= base_;
      const std::uint64_t ends_in = (split_already ? 2 * base_ : base_) - 1;
      found.clear();
      for (Slot slot = buckets_[bucket]; slot != kNoSlot; slot = records_[slot].chain) {
        if (place(slot) >= position) found.push_back(slot);
      }
      std::sort(found.begin(), found.end(), [&](Slot a, Slot b) { return place(a) < place(b); });
      for (std::size_t i = 0; i < found.size(); ++i) {
        const bool with_last = i > 0 && place(found[i]) == place(found[i - 1]);
        if (visited >= most && !with_last) return place(found[i]);
        visit(found[i]);
        ++visited;
      }
      position = (position | ~reverse_bits(ends_in)) + 1;
    } while (position != 0);
    return 0;
  }

 private:
  static constexpr std::size_t kFewestBuckets = 64;
  static constexpr std::size_t kBucketsOfRecord = 4;  // At most, but for those.

  std::uint64_t place(Slot slot) const { return place_of(records_[slot].hash()); }

  std::size_t bucket_count() const { return base_ + split_; }

  bool too_many_buckets() const {
    return size() < bucket_count() / kBucketsOfRecord && bucket_count() > kFewestBuckets;
  }

  std::size_t bucket_of(std::uint64_t hash) const {
    const std::size_t bucket = static_cast<std::size_t>(hash) & (2 * base_ - 1);
    return bucket < bucket_count() ? bucket : bucket & (base_ - 1);
  }

  void push(std::size_t bucket, Slot slot) {
    records_[slot].chain = buckets_[bucket];
    buckets_[bucket] = slot;
  }

  // Moves every record of the bucket to where it belongs by now.
  void spread(std::size_t bucket) {
    Slot slot = buckets_[bucket];
    buckets_[bucket] = kNoSlot;
    while (slot != kNoSlot) {
      const Slot next = records_[slot].chain;
      push(bucket_of(records_[slot].hash()), slot);
      slot = next;
    }
  }

  void split() {
    const std::size_t from = split_;
    if (bucket_count() == buckets_.capacity()) buckets_.add_page();
    buckets_[bucket_count()] = kNoSlot;
    if (++split_ == base_) {
      base_ *= 2;
      split_ = 0;
    }
    spread(from);
  }

  void merge() {
    const std::size_t from = bucket_count() - 1;
    if (split_ == 0) {
      base_ /= 2;
      split_ = base_;
    }
    --split_;
    spread(from);
  }

  Slab<T> records_;
  PagedArray<Slot> buckets_;

  // Buckets 0 to base_ + split_ - 1 exist; those below split_ and from base_ on tell one bit more
  // apart.
  std::size_t base_ = kFewestBuckets;
  std::size_t split_ = 0;
};

}  // namespace dlm
