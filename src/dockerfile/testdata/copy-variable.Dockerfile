ARG X=redis
FROM alpine
COPY --from=$X / /
