# Images of shardmill: docker build .                    for functions that are programs (provided.*)
#                      docker build --target python .    for Python as well
#                      docker build --target node .      for Node.js as well
# make image writes the first of them without a container engine; internal/image holds the two together.
ARG GO=1.26
ARG PYTHON=3.13
ARG NODE=22

FROM golang:${GO} AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o /out/usr/local/bin/shardmill ./cmd/shardmill
RUN mkdir -p -m 0755 /out/etc/ssl/certs && cp /etc/ssl/certs/ca-certificates.crt /out/etc/ssl/certs/ \
 && printf 'root:x:0:0:root:/:/bin/false\nshardmill:x:65532:65532:shardmill:/data:/bin/false\n' > /out/etc/passwd \
 && printf 'root:x:0:\nshardmill:x:65532:\n' > /out/etc/group \
 && mkdir -m 1777 /out/tmp && mkdir -m 0700 /out/data && chown 65532:65532 /out/data

FROM python:${PYTHON}-slim AS python
RUN pip install --no-cache-dir --root-user-action=ignore boto3 \
 && mkdir -m 0700 /data && chown 65532:65532 /data
COPY --from=build /out/usr/local/bin/shardmill /usr/local/bin/shardmill
ENV HOME=/data XDG_RUNTIME_DIR=/tmp
USER 65532:65532
WORKDIR /data
VOLUME /data
EXPOSE 4566
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 CMD ["shardmill", "health"]
ENTRYPOINT ["shardmill"]
CMD ["serve", "--data", "/data"]

FROM node:${NODE}-slim AS node
RUN mkdir -m 0700 /data && chown 65532:65532 /data
COPY --from=build /out/usr/local/bin/shardmill /usr/local/bin/shardmill
ENV HOME=/data XDG_RUNTIME_DIR=/tmp
USER 65532:65532
WORKDIR /data
VOLUME /data
EXPOSE 4566
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 CMD ["shardmill", "health"]
ENTRYPOINT ["shardmill"]
CMD ["serve", "--data", "/data"]

FROM scratch AS plain
COPY --from=build /out/ /
ENV PATH=/usr/local/bin:/usr/bin:/bin HOME=/data XDG_RUNTIME_DIR=/tmp
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
USER 65532:65532
WORKDIR /data
VOLUME /data
EXPOSE 4566
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 CMD ["shardmill", "health"]
ENTRYPOINT ["shardmill"]
CMD ["serve", "--data", "/data"]
