FROM alpine AS a
COPY --from=b / /
FROM busybox AS b
FROM a
