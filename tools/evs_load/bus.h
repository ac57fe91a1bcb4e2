// What the load needs of a system that orders messages: one group, of which all are members.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "base/bytes.h"

namespace tools::evs_load {

class Bus {
 public:
  // Called from dispatch() alone.
  class Listener {
   public:
    virtual ~Listener() = default;
    virtual void on_message(bool own, base::Bytes message) = 0;
    virtual void on_members(std::size_t count) = 0;
  };

  virtual ~Bus() = default;

  // Readable when dispatch() has something to do.
  virtual int descriptor() const = 0;

  // False: not now. Throws std::runtime_error when the system fails.
  virtual bool send(bool safe, base::Bytes message) = 0;

  // Never blocks. Throws as send() does.
  virtual void dispatch() = 0;
};

// Connects to the daemon; each program links one of these. `where` is the socket of the daemon, for
// systems that have several on one machine. Throws std::runtime_error.
std::unique_ptr<Bus> open_bus(const std::string& where, Bus::Listener& listener);

}  // namespace tools::evs_load
