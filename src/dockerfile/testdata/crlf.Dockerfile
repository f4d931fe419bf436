# syntax=docker/dockerfile:1.7 more
# Escape = \
ARG V=1
FROM alpine:$V AS a
RUN <<EOF
FROM no
EOF
FROM busybox
COPY \
  --from=a / /
COPY --from=redis / /
