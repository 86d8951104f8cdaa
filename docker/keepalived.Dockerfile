ARG IMAGES=rollcall
FROM ${IMAGES}-base:trixie

# The base is as old as it may be; without the cache (scripts/build --fresh) this has all updates of the day.
RUN apt-get update \
    && apt-get upgrade -y \
    && apt-get install -y --no-install-recommends keepalived nftables iproute2 iputils-arping curl \
    && rm -rf /var/lib/apt/lists/*

COPY pair /usr/local/bin/pair
ENTRYPOINT ["/usr/local/bin/pair"]
CMD ["run"]
