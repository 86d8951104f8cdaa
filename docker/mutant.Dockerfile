# A release that is bad in one way, for a drill to deploy: `scripts/build --mutants`. Never pushed anywhere.
FROM rollcall-server:mutant
ARG FAULT
ENV RELEASE=${FAULT} ROLLCALL_MUTANT=${FAULT}
