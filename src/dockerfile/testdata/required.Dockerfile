ARG X
FROM alpine:${X:?missing}
