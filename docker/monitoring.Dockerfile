FROM debian:trixie-slim

RUN apt-get update \
    && apt-get install -y --no-install-recommends prometheus prometheus-alertmanager \
    && rm -rf /var/lib/apt/lists/*

RUN mkdir /data && chown nobody /data

# One image for both, and for promtool and amtool; the container says which.
USER nobody
CMD ["prometheus"]
