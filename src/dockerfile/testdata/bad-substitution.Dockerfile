ARG X=${:y}
FROM alpine
