# Valkey instead of Redis, for a stack that begins with it: the settings and commands are the same, but Valkey 8.1 does not
# read what Redis 8.0 has written. The context is that of redis.Dockerfile.
ARG IMAGES=rollcall
FROM ${IMAGES}-base:trixie

# The user, the folder and the names are those of Redis, which the playbooks know.
RUN groupadd --gid 101 redis && useradd --uid 100 --gid redis --home-dir /data --no-create-home --shell /usr/sbin/nologin redis \
    && apt-get update \
    && apt-get upgrade -y \
    && apt-get install -y --no-install-recommends valkey-server valkey-tools \
    && rm -rf /var/lib/apt/lists/* \
    && install -d -o redis -g redis -m 0700 /data \
    && ln -s /usr/bin/valkey-server /usr/local/bin/redis-server \
    && ln -s /usr/bin/valkey-cli /usr/local/bin/redis-cli \
    && printf '#!/bin/sh\nexec valkey-check-aof "$@"\n' >/usr/local/bin/redis-check-aof \
    && chmod 0755 /usr/local/bin/redis-check-aof

COPY redis-start /usr/local/bin/

USER redis
WORKDIR /data
VOLUME /data
EXPOSE 6379
ENTRYPOINT ["redis-start"]
