ARG TARGETARCH
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
FROM --platform=linux/${TARGETARCH} alpine AS fetch
FROM base-${TARGETOS}-${TARGETARCH}${TARGETVARIANT:+-$TARGETVARIANT}
COPY --from=build / /
COPY --from=fetch / /
