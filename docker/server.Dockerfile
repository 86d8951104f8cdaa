# The server is one static binary, so the image holds nothing else: no shell, no libc, no package to patch.
FROM scratch

# What `/livez` and every `welcome` report.
ARG RELEASE
# A feature of the page that a release may have: 1.0.0 and 1.1.0 are one binary.
ARG APPLAUSE=false
# The server's own default of 127.0.0.1 could not be reached from outside the container.
ENV RELEASE=${RELEASE} APPLAUSE=${APPLAUSE} HOST=0.0.0.0

COPY rollcall-server /rollcall-server

# A number: there is no /etc/passwd to look a name up in.
USER 65532:65532
EXPOSE 8080 8090
# SIGTERM is a drain and then exit 0; exec form, so that the server itself gets it.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/rollcall-server"]
