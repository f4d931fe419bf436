FROM alpine AS a
FROM debian
RUN --mount=from=0,target=/x true
