FROM alpine
ADD --from=redis / /
