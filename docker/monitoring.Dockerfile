ARG IMAGES=rollcall
FROM ${IMAGES}-base:trixie

# The base is as old as it may be; without the cache (scripts/build --fresh) this has all updates of the day.
RUN apt-get update \
    && apt-get upgrade -y \
    && apt-get install -y --no-install-recommends prometheus prometheus-alertmanager \
    && rm -rf /var/lib/apt/lists/*

RUN mkdir /data && chown nobody /data

# One image for both, and for promtool and amtool; the container says which.
USER nobody
CMD ["prometheus"]
