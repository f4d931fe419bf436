FROM alpine
RUN <<EOF
FROM one
EOF
RUN cat << EOF > /x && cat <<'E 2' | sh
FROM two
EOF
FROM three
E 2
COPY <<-EOF /a <<end /dir/
	FROM four
	EOF
FROM five
end
RUN echo "cat <<EOF"
RUN ["echo", "<<EOF"]
RUN grep x <<< EOF
RUN echo it's <<EOF
RUN cat 3<<EOF
FROM six
EOF
FROM busybox
COPY --from=0 / /
