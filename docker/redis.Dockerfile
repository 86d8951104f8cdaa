FROM debian:trixie-slim

# /data belongs to redis in the image, and so does a new volume mounted on it.
RUN apt-get update \
    && apt-get install -y --no-install-recommends redis-server \
    && rm -rf /var/lib/apt/lists/* \
    && install -d -o redis -g redis -m 0700 /data

USER redis
WORKDIR /data
VOLUME /data
EXPOSE 6379
# A crash may cut the append-only file off in the middle of a function's writes. Redis drops them, but can leave their
# beginning in the file, and carries it out after its next restart (valkey-io/valkey#4342; scripts/chaos found an entry
# of a room log come back from the dead). Redis' own tool cuts the file where those writes begin.
# Every setting comes as an argument from Ansible, so that none hides in an image.
ENTRYPOINT ["sh", "-c", "aof=appendonlydir/appendonly.aof.manifest; [ ! -e $aof ] || echo y | redis-check-aof --fix $aof; exec redis-server \"$@\"", "redis-server"]
