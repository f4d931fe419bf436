FROM alpine AS base
ONBUILD COPY --from=redis / /
ONBUILD RUN --mount=from=nginx,target=/n true
FROM base AS child
FROM child AS grandchild
FROM scratch AS other
COPY --from=base / /
