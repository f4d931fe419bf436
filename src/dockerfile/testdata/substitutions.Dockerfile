ARG V=1.22.3-rc.1
ARG E=
FROM a:${V#*.} AS a
FROM b:${V##*.} AS b
FROM c:${V%.*} AS c
FROM d:${V%%.*} AS d
FROM e:${V/./_} AS e
FROM f:${V//./_} AS f
FROM g:${E:-empty} AS g
FROM h${E-unset} AS h
FROM i:${V:+set}${E:+not} AS i
FROM j:x${E+set}${NONE+not} AS j
FROM k:${E:-${NONE:-${V%%-*}}} AS k
FROM l:"${V#1.}" AS l
FROM scratch
COPY --from=a / /
COPY --from=b / /
COPY --from=c / /
COPY --from=d / /
COPY --from=e / /
COPY --from=f / /
COPY --from=g / /
COPY --from=h / /
COPY --from=i / /
COPY --from=j / /
COPY --from=k / /
COPY --from=l / /
