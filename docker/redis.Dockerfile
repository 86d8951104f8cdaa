ARG IMAGES=rollcall
FROM ${IMAGES}-base:trixie

# /data belongs to redis in the image, and so does a new volume mounted on it.
# The base is as old as it may be; without the cache (scripts/build --fresh) this has all updates of the day.
RUN apt-get update \
    && apt-get upgrade -y \
    && apt-get install -y --no-install-recommends redis-server \
    && rm -rf /var/lib/apt/lists/* \
    && install -d -o redis -g redis -m 0700 /data

COPY redis-start /usr/local/bin/

USER redis
WORKDIR /data
VOLUME /data
EXPOSE 6379
# Every setting comes as an argument from Ansible, so that none hides in an image.
ENTRYPOINT ["redis-start"]
