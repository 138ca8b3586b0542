// SPDX-License-Identifier: MIT
#pragma once

#include "support/authority.hpp"
#include "support/postgres.hpp"

#include <string>

namespace tests {

/// A server that speaks TLS, with a certificate for localhost, and treats each role differently:
/// `secured` must come by TLS, `open` must not, `certuser` needs a certificate of this authority, `plain`, `hashed` and
/// `scram` have the password "right" and are asked for it in three ways, everybody else is trusted.
class TlsServer {
public:
    TlsServer() {
        server.sql("postgres",
                   "create role secured login; create role open login; create role certuser login; create role plain "
                   "login password 'right'; create role scram login password 'right'; set password_encryption = 'md5'; "
                   "create role hashed login password 'right'");
        root = server.write_file("root.crt", authority.root, 0644);
        server.set("hba_file", server.write_file("hba", "local all all trust\n"
                                                        "hostssl all secured 127.0.0.1/32 trust\n"
                                                        "host all secured 127.0.0.1/32 reject\n"
                                                        "hostnossl all open 127.0.0.1/32 trust\n"
                                                        "host all open 127.0.0.1/32 reject\n"
                                                        "hostssl all certuser 127.0.0.1/32 cert\n"
                                                        "host all plain 127.0.0.1/32 password\n"
                                                        "host all hashed 127.0.0.1/32 md5\n"
                                                        "host all scram 127.0.0.1/32 scram-sha-256\n"
                                                        "host all all 127.0.0.1/32 trust\n"));
        server.set("ssl", "on");
        server.set("ssl_ca_file", root);
        server.set("ssl_cert_file", server.socket_folder() + "/server.crt");
        server.set("ssl_key_file", server.socket_folder() + "/server.key");
        show(authority.issue("DNS:localhost"));
    }

    /// From now on it has this certificate.
    void show(const Identity& identity) {
        server.write_file("server.crt", identity.certificate, 0644);
        server.write_file("server.key", identity.key);
        server.restart(Stop::fast);
    }
    [[nodiscard]] std::string url(const std::string& more) const { return url(server.port(), more); }
    /// By another port, which leads there.
    [[nodiscard]] std::string url(int port, const std::string& more) const {
        return "host=localhost hostaddr=127.0.0.1 port=" + std::to_string(port) +
               " user=postgres dbname=postgres sslrootcert=" + root + " " + more;
    }

    Authority authority;
    Postgres server{{{"listen_addresses", "127.0.0.1"}}};
    std::string root;  ///< the authority's certificate, in a file
};

}  // namespace tests
