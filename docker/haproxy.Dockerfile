ARG IMAGES=rollcall
FROM ${IMAGES}-base:trixie

# The base is as old as it may be; without the cache (scripts/build --fresh) this has all updates of the day.
RUN apt-get update \
    && apt-get upgrade -y \
    && apt-get install -y --no-install-recommends haproxy \
    && rm -rf /var/lib/apt/lists/*

# Ansible may run it as another user: the one whose directory holds the runtime socket.
USER haproxy
# HAProxy's word for "finish what you have": live connections end by themselves or by `hard-stop-after`.
STOPSIGNAL SIGUSR1
# Master-worker: a reload keeps the listener. The playbooks start it by haproxy/start, which can also take over from
# another container.
ENTRYPOINT ["haproxy", "-W", "-db"]
CMD ["-f", "/etc/rollcall/haproxy.cfg"]
