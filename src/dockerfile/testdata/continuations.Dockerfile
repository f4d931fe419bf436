FROM al\
pine \ 
# between

  AS a
FR\
OM busybox:\
1 AS b
RUN echo \\
FROM nginx
COPY \
  --link \
  --from=re\
dis / /
COPY --from=a / /
COPY --from=b / /
