FROM alpine
RUN <<EOF
true
FROM busybox
