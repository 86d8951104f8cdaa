# Redis with a clock that the chaos harness can set, alone among the containers. Never for a service.
# The context has redis-clock.so, which is docker/redis-clock.c compiled.
ARG IMAGES=rollcall
FROM ${IMAGES}-redis:8.0
COPY redis-clock.so /usr/local/lib/
# A 3600 in that file moves the clock an hour ahead. A container that starts has an empty one.
ENV LD_PRELOAD=/usr/local/lib/redis-clock.so \
    CLOCK_AHEAD=/dev/shm/clock-ahead
