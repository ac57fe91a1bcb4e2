// Memory in pages that never move, of which a copy can be frozen: it costs a pointer a page, and
// stays as it was while the live pages change. Whoever is about to change a page that both have in
// common first leaves its content, in a page of its own, to the frozen copy.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

namespace dlm {

// One frozen copy of the live pages can be there at a time. Either may be moved, and may outlive
// the other.
template <typename T>
class Pages {
 public:
  Pages() = default;
  Pages(Pages&& other) noexcept { take(other); }
  Pages& operator=(Pages&& other) noexcept {
    if (this != &other) {
      part();
      take(other);
    }
    return *this;
  }
  ~Pages() { part(); }

  // Only of live pages.
  T* operator[](std::size_t page) {
    if (twin_ != nullptr) [[unlikely]]
      leave_to_twin(page);
    return pages_[page].get();
  }

  const T* operator[](std::size_t page) const { return pages_[page].get(); }

  std::size_t size() const { return pages_.size(); }
  std::size_t memory() const {
    return pages_.size() * length_ * sizeof(T) + pages_.capacity() * sizeof(pages_[0]);
  }

  // All pages have one length.
  void add(std::size_t length) {
    length_ = length;
    pages_.push_back(made(length));
  }

  // A copy that is only to be read.
  Pages freeze() {
    Pages frozen;
    frozen.length_ = length_;
    frozen.pages_ = pages_;
    frozen.twin_ = this;
    twin_ = &frozen;
    return frozen;
  }

  bool frozen() const { return twin_ != nullptr; }

 private:
  using Page = std::shared_ptr<T[]>;

  static Page made(std::size_t length) { return Page(new T[length]); }

  void leave_to_twin(std::size_t page) {
    if (page >= twin_->pages_.size() || twin_->pages_[page] != pages_[page]) return;
    Page copy = made(length_);
    std::copy_n(pages_[page].get(), length_, copy.get());
    twin_->pages_[page] = std::move(copy);
  }

  void take(Pages& other) {
    length_ = other.length_;
    pages_ = std::move(other.pages_);
    twin_ = std::exchange(other.twin_, nullptr);
    if (twin_ != nullptr) twin_->twin_ = this;
  }

  void part() {
    if (twin_ != nullptr) twin_->twin_ = nullptr;
    twin_ = nullptr;
  }

  std::vector<Page> pages_;
  std::size_t length_ = 0;
  Pages* twin_ = nullptr;  // Of live pages the frozen copy, and of that the live ones.
};

// An array that grows by pages. Memory is kept until the end of its life.
template <typename T>
class PagedArray {
 public:
  static constexpr std::size_t kPage = 256;

  T& operator[](std::size_t i) { return pages_[i / kPage][i % kPage]; }
  const T& operator[](std::size_t i) const { return pages_[i / kPage][i % kPage]; }

  std::size_t capacity() const { return pages_.size() * kPage; }
  std::size_t memory() const { return pages_.memory(); }

  void add_page() { pages_.add(kPage); }

  PagedArray freeze() {
    PagedArray frozen;
    frozen.pages_ = pages_.freeze();
    return frozen;
  }

  bool frozen() const { return pages_.frozen(); }

 private:
  Pages<T> pages_;
};

}  // namespace dlm
