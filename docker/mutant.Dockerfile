# A release that is wrong in one way, for a drill or the chaos harness to deploy. Never pushed anywhere.
#   docker build --tag rollcall-server:no-dedup --build-arg NAME=no-dedup --build-arg MUTANT=no-dedup - <docker/mutant.Dockerfile
ARG IMAGES=rollcall
FROM ${IMAGES}-server:mutant
# The release, which an ARG of that name could not change: the image that this stands on has it in its environment.
ARG NAME
ARG MUTANT
# Its own, unless said.
ARG DOSE=0
ENV RELEASE=${NAME} ROLLCALL_MUTANT=${MUTANT} ROLLCALL_MUTANT_DOSE=${DOSE}
