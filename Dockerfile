# SPDX-License-Identifier: MIT
# Images of the programs: docker build --target server . (or crawler). Whatever builder is there will do: nothing here
# needs BuildKit.

FROM debian:trixie-slim AS build
WORKDIR /src
COPY dev ./
RUN ./dev setup build && rm -rf /var/lib/apt/lists/*
COPY . .
# How many compilers run at once; nothing: one a processor.
ARG COAIO_JOBS=
RUN cmake --preset release -DCOAIO_BUILD_BENCH=OFF && \
    COAIO_NO_SETUP=1 ./dev build && \
    cmake --install build/release --component apps --prefix /out --strip
# The packages of the libraries that the programs are linked with.
RUN ldd /out/bin/coaio-server /out/bin/coaio-crawl | awk '$2 == "=>" { print $3 }' | xargs realpath | sort -u | \
    xargs dpkg-query --search | sed 's/: .*//' | sort -u >/out/packages && test -s /out/packages

FROM debian:trixie-slim AS runtime
COPY --from=build /out/packages /tmp/packages
RUN apt-get -q update && \
    DEBIAN_FRONTEND=noninteractive xargs -a /tmp/packages apt-get -q -y --no-install-recommends install ca-certificates && \
    rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/log/apt /var/log/dpkg.log /tmp/packages && \
    useradd --system --uid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin coaio
USER 10001
ENV LANG=C.UTF-8

FROM runtime AS crawler
COPY --from=build /out/bin/coaio-crawl /usr/local/bin/
RUN found=$(ldd /usr/local/bin/coaio-crawl) && ! echo "$found" | grep "not found"
ENTRYPOINT ["coaio-crawl"]

# Of its own it has no Postgres: DATABASE_URL says where one is.
FROM runtime AS server
COPY --from=build /out/bin/coaio-server /usr/local/bin/
RUN found=$(ldd /usr/local/bin/coaio-server) && ! echo "$found" | grep "not found"
ENV COAIO_SERVER_HOST=0.0.0.0 COAIO_SERVER_PORT=8080
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s --retries=3 CMD ["bash", "-c", \
    "exec 3<>/dev/tcp/127.0.0.1/$COAIO_SERVER_PORT && printf 'GET /readyz HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' >&3 && read -r _ status _ <&3 && [ \"$status\" = 200 ]"]
ENTRYPOINT ["coaio-server"]
