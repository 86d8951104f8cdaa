# Redis with a clock that the chaos harness can set, alone among the containers, and with a power that can fail. Never
# for a service. The context has redis-faults.so, which is docker/redis-faults.c compiled.
ARG IMAGES=rollcall
FROM ${IMAGES}-redis:8.0
COPY redis-faults.so /usr/local/lib/
# A 3600 in the first moves the clock an hour ahead; a container that starts has an empty one. The second, in the volume,
# outlives a container that is killed: if it is there at the start, what was not synced is lost, and so is the file.
ENV LD_PRELOAD=/usr/local/lib/redis-faults.so \
    CLOCK_AHEAD=/dev/shm/clock-ahead \
    POWER_LOST=/data/power-lost
