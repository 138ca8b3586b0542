// SPDX-License-Identifier: MIT
// Runs a fuzz target without libFuzzer: the files of a folder, and mutations of them that are always the same.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using Bytes = std::vector<std::uint8_t>;

// Of exactly its size, so that a sanitizer sees a step over the end.
void feed(const Bytes& bytes) {
    Bytes exact(bytes.begin(), bytes.end());
    exact.shrink_to_fit();
    LLVMFuzzerTestOneInput(exact.data(), exact.size());
}

Bytes mutated(Bytes bytes, const Bytes& other, std::mt19937& random) {
    auto below = [&](std::size_t bound) { return bound == 0 ? std::size_t{0} : std::size_t{random()} % bound; };
    auto position = [&](const Bytes& in) { return static_cast<std::ptrdiff_t>(below(in.size() + 1)); };
    for (std::size_t change = 0; change < 1 + below(4); ++change) {
        switch (below(5)) {
        case 0:
            if (!bytes.empty()) bytes[below(bytes.size())] = static_cast<std::uint8_t>(random());
            break;
        case 1: bytes.insert(bytes.begin() + position(bytes), static_cast<std::uint8_t>(random())); break;
        case 2: bytes.erase(bytes.begin() + position(bytes), bytes.end()); break;
        case 3:
            if (!bytes.empty()) bytes[below(bytes.size())] ^= static_cast<std::uint8_t>(1U << below(8));
            break;
        default: bytes.insert(bytes.begin() + position(bytes), other.begin() + position(other), other.end());
        }
    }
    return bytes;
}

}  // namespace

int main(int argc, char** argv) {
    std::vector<Bytes> corpus(1);
    for (int index = 1; index < argc; ++index) {
        std::vector<std::filesystem::path> files;
        for (const auto& entry : std::filesystem::directory_iterator(argv[index])) files.push_back(entry.path());
        std::sort(files.begin(), files.end());
        for (const auto& file : files) {
            std::ifstream in(file, std::ios::binary);
            corpus.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
        }
    }
    for (const auto& bytes : corpus) feed(bytes);

    constexpr int rounds = 5000;
    std::mt19937 random(1);
    for (int round = 0; round < rounds; ++round) {
        const auto& first = corpus[random() % corpus.size()];
        const auto& second = corpus[random() % corpus.size()];
        feed(mutated(first, second, random));
    }
    std::cout << corpus.size() << " inputs and " << rounds << " mutations\n";
    return 0;
}
