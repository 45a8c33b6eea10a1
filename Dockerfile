# The image of every part of Waybill: docker run waybill worker
#
# Node is the official image's, not the binary that package-lock.json brings for developers: it is rebuilt with its
# system's security fixes, and --omit=optional then leaves the second Node out (200 MB). package.json asks for 24 or
# newer; 26 is what the lock file names and the tests run on.
FROM node:26-slim AS packages
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY shared/package.json shared/
COPY producer/package.json producer/
COPY workers/package.json workers/
COPY dashboards/package.json dashboards/
COPY cli/package.json cli/
# test and bench are not copied, so npm installs nothing of theirs. No package needs a script of its own to run.
RUN npm ci --omit=dev --omit=optional --ignore-scripts

FROM node:26-slim
# 127.0.0.1 would be the container's own. With it, webhooks to private addresses need webhooks.allow_networks.
ENV NODE_ENV=production WAYBILL_HOST=0.0.0.0
WORKDIR /app
COPY --from=packages /app ./
COPY LICENSE ./
COPY shared shared
COPY producer producer
COPY workers workers
COPY dashboards dashboards
COPY cli cli
# All of the above belongs to root: the process cannot change what it runs.
USER node
EXPOSE 4700
# Node runs the TypeScript unbuilt. As process 1 it needs `init` around it (docker run --init), or signals that arrive
# while it starts are lost.
ENTRYPOINT ["node", "/app/cli/src/main.ts"]
CMD ["--help"]
