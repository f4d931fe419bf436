FROM busybox AS busybox
FROM busybox AS busybox
FROM nginx
COPY --from=busybox / /
