// SPDX-License-Identifier: MIT
#pragma once

#include <string>

namespace tests {

/// A certificate and its private key, as PEM.
struct Identity {
    std::string certificate;
    std::string key;
};

/// A certificate authority of this run.
class Authority {
public:
    Authority();
    /// A server's certificate for these names (`DNS:localhost,IP:127.0.0.1`).
    [[nodiscard]] Identity issue(const std::string& names, bool expired = false) const;
    /// A client's, for a user of this name.
    [[nodiscard]] Identity issue_to(const std::string& name) const;
    std::string root;  // PEM

private:
    [[nodiscard]] Identity issue(const std::string& subject, const std::string& names, bool expired) const;
    std::string key_;
};

}  // namespace tests
