// Runs a fuzz target over the files and folders that are named, with any compiler. A folder that is
// missing or empty is an error: nothing would have been tried.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "tests/fuzz/fuzz.h"

namespace {

bool run(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  const std::string content{std::istreambuf_iterator<char>(in), {}};
  if (!in) {
    std::fprintf(stderr, "%s can not be read\n", path.c_str());
    return false;
  }
  // Said before, so that it is known if the process ends here.
  std::printf("%s\n", path.c_str());
  std::fflush(stdout);
  // A copy of exactly this length, so that a sanitizer sees what reads beyond it.
  const base::Buffer bytes(reinterpret_cast<const std::byte*>(content.data()),
                           reinterpret_cast<const std::byte*>(content.data()) + content.size());
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  int done = 0;
  for (int i = 1; i < argc; ++i) {
    if (!std::filesystem::is_directory(argv[i])) {
      if (!run(argv[i])) return 1;
      ++done;
      continue;
    }
    for (const auto& file : std::filesystem::directory_iterator(argv[i])) {
      if (!run(file.path())) return 1;
      ++done;
    }
  }
  std::printf("%d inputs\n", done);
  return done > 0 ? 0 : 1;
}
