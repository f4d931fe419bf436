FROM alpine AS Base
FROM base AS build
COPY --from=redis:7 / /
FROM debian AS unused
COPY --from=golang / /
FROM scratch
COPY --chown=1:1 --from=BUILD / /
COPY --from=0 / /
