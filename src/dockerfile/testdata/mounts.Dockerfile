FROM alpine AS tools
FROM debian
RUN --mount=type=bind,from=golang:1.26,target=/go --mount=from=Tools,target=/t \
    # a comment
    --mount=target=/c,type=cache,from=quay.io/a/b \
    --network=none go build --mount=type=bind,from=nothing
RUN --mount=type=bind,target="/with blank",from=redis true
RUN --mount=type=cache,target=/c,from=scratch true
RUN --mount=type=bind,"from=memcached",target=/m true
