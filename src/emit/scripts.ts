// What the jobs of a pipeline run: POSIX shell and plain docker commands, the same text for every image. What differs comes in as
// environment variables, which each script names in its first lines.

/** Tries again after 5, 20 and 60 s: registries have bad minutes, and one must not cost a pipeline. */
const retry = `retry() { for wait in 5 20 60 0; do if "$@"; then return 0; fi; sleep "$wait"; done; return 1; }`;

/** `$TAG`: the first of the run's tags. */
const firstTag = `TAG="\${BUILD_TAG:-$FINAL_TAG}" && TAG="\${TAG%% *}"`;

/** Puts in what was not known when the pipeline was written: the tag, and in a job for all platforms the one that it is at. */
const fill = `fill() { sed "s|{tag}|$TAG|g; s|{arch}|$ARCH|g; s|{platform}|$PLATFORM|g; s|{cpu}|$(echo "\${PLATFORM#linux/}" | tr -d /)|g"; }`;

/** Fetches SOURCE at REF into ./source, or stays in the checkout; $HERE is where the files are, $REVISION their commit. */
const source = `HERE="$FOLDER"
if [ -n "$SOURCE" ]; then
  HERE=source
  git init --quiet source
  retry git -C source fetch --quiet --depth 1 "$SOURCE" "$REF"
  git -C source checkout --quiet FETCH_HEAD
  git -C source submodule --quiet update --init --recursive --depth 1
fi
REVISION="$(git -C "$HERE" rev-parse HEAD)"`;

/** Takes what this run made of the upstream images, and gives it every name that a Dockerfile may call it by. */
const upstreams = `for upstream in $UPSTREAMS; do
  retry docker pull --quiet --platform "$PLATFORM" "$upstream:run-$RUN_ID$ARCH"
  for tag in \${BUILD_TAG:-} $FINAL_TAG; do
    for name in "$upstream" "\${upstream#"$REGISTRY"}"; do
      docker tag "$upstream:run-$RUN_ID$ARCH" "$name:$tag"
      docker tag "$upstream:run-$RUN_ID$ARCH" "$name:$tag$ARCH"
    done
  done
done`;

/** Images are pushed as images, not as an index of one with attestations: \`docker manifest create\` refuses that. */
const plainImages = 'export DOCKER_BUILDKIT=1 BUILDX_NO_DEFAULT_ATTESTATIONS=1';

/** The positional parameters become the flags of docker build. A line of ARGS is one argument, whatever it holds. */
const buildFlags = `set -f -- && IFS='
'
for arg in $(printf '%s\\n' "$ARGS" | fill); do set -- "$@" --build-arg "$arg"; done
unset IFS && set +f
for secret in $SECRETS; do
  set -- "$@" --secret "id=$secret,env=$(printf %s "$secret" | tr '[:lower:]' '[:upper:]')"
done
if [ -n "$TARGET" ]; then set -- "$@" --target "$TARGET"; fi
set -- "$@" --file "$HERE/$DOCKERFILE" --label "org.opencontainers.image.revision=$REVISION"`;

/**
 * \`point TARGET SOURCE…\` makes a tag of what lies under others: with buildx by the registry alone; without it by docker manifest, whose
 * local leftovers of a broken try are removed first. \`revision IMAGE\` prints the commit that an image was made from.
 */
const point = `if docker buildx version > /dev/null 2>&1; then
  point() {
    as=''
    # One image stays an image, and does not become an index of one.
    if [ $# = 2 ] && docker buildx imagetools create --help | grep -q prefer-index; then as=--prefer-index=false; fi
    retry docker buildx imagetools create $as --tag "$@"
  }
  revision() { docker buildx imagetools inspect --format '{{json .Image}}' "$1" | grep -o '"org.opencontainers.image.revision": *"[^"]*"'; }
else
  export DOCKER_CLI_EXPERIMENTAL=enabled
  point() {
    if [ $# = 2 ]; then
      retry docker pull --quiet "$2" && docker tag "$2" "$1" && retry docker push "$1"
      return
    fi
    rm -rf "\${DOCKER_CONFIG:-$HOME/.docker}/manifests"
    retry docker manifest create $INSECURE "$@"
    retry docker manifest push --purge $INSECURE "$1"
  }
  revision() { docker pull --quiet "$1" > /dev/null && docker image inspect --format '{{json .Config.Labels}}' "$1" | grep -o '"org.opencontainers.image.revision": *"[^"]*"'; }
fi`;

/** Checks that every platform of $image is there and of one commit. Only then may its tags move. */
const check = `sources='' first=''
for arch in $ARCHES; do
  made="$(retry revision "$image:run-$RUN_ID$arch" | tr -d ' ')"
  if [ -z "$made" ]; then echo "$image: $arch is not there, or does not say what it was made from" >&2; exit 1; fi
  if [ -n "$first" ] && [ "$made" != "$first" ]; then
    echo "$image: $arch was built from another commit than the platforms before it ($made, not $first); nothing is published" >&2
    exit 1
  fi
  first="$made" sources="$sources $image:run-$RUN_ID$arch"
done`;

const archTags = `for tag in \${BUILD_TAG:-} $FINAL_TAG; do
  for arch in $ARCHES; do point "$image:$tag$arch" "$image:run-$RUN_ID$arch"; done
done`;

const joinedTags = 'for tag in ${BUILD_TAG:-} $FINAL_TAG; do point "$image:$tag" $sources; done';

const compress = `if ! command -v pigz > /dev/null; then
  { apk add --no-cache pigz || apt-get install --yes pigz; } > /dev/null 2>&1 || true
fi
compress() { if command -v pigz > /dev/null; then pigz; else gzip; fi; }`;

/** TESTS are lines that call \`check\` with a program and its arguments, which run in the image that was just built. */
const buildOne = `docker build "$@" --platform "$PLATFORM" --tag "$IMAGE:run-$RUN_ID$ARCH" "$HERE/$CONTEXT"
if [ -n "\${TESTS:-}" ]; then
  check() { program="$1"; shift; docker run --rm --platform "$PLATFORM" --entrypoint "$program" "$IMAGE:run-$RUN_ID$ARCH" "$@"; }
  eval "$TESTS"
fi
retry docker push "$IMAGE:run-$RUN_ID$ARCH"`;

const runGroup = `# For scripts that name no platform, on a machine that has more than one.
export DOCKER_DEFAULT_PLATFORM="$PLATFORM"
if ! command -v bash > /dev/null; then apk add --no-cache bash > /dev/null; fi
(cd "$HERE" && sh -euc "$(printf %s "$SCRIPT" | fill)")
for image in $IMAGES; do
  made="\${image#"$REGISTRY"}:$TAG$ARCH"
  # The script's image gets the commit that it was made from; the layers stay as they are.
  printf 'FROM %s\\n' "$made" | docker build --platform "$PLATFORM" --label "org.opencontainers.image.revision=$REVISION" --tag "$image:run-$RUN_ID$ARCH" -
  retry docker push "$image:run-$RUN_ID$ARCH"
done`;

/** Indented, but for lines that are the inside of a quoted text. */
function inLoop(...parts: string[]): string {
  return parts.join('\n').replace(/^(?!')(?=.)/gm, '  ');
}

function script(...parts: string[]): string {
  return ['set -eu', ...parts].join('\n');
}

/** Logs in where the pipeline has an account for the registry; a registry on its own network may want none. REGISTRY */
export const login = script(
  `user="\${DOCKER_USERNAME:-\${DOCKER_USER:-}}" password="\${DOCKER_PASSWORD:-\${DOCKER_PASS:-}}"
if [ -n "$password" ]; then
  printf %s "$password" | docker login --username "$user" --password-stdin "\${REGISTRY%%/*}"
fi`,
);

/** IMAGE, PLATFORM, ARCH, SOURCE, REF, FOLDER, CONTEXT, DOCKERFILE, TARGET, ARGS, SECRETS, UPSTREAMS, REGISTRY, and TESTS where there are any */
export const build = script(retry, firstTag, fill, source, upstreams, plainImages, buildFlags, buildOne);

/** Several images by a script of their own. IMAGES, SCRIPT, PLATFORM, ARCH, SOURCE, REF, FOLDER, UPSTREAMS, REGISTRY */
export const group = script(retry, firstTag, fill, source, upstreams, plainImages, runGroup);

/** IMAGES, ARCHES, INSECURE */
export const publishImages = script(
  retry,
  point,
  'for image in $IMAGES; do',
  inLoop(check, archTags, joinedTags),
  'done',
);

const qemu = `if ! docker run --privileged --rm tonistiigi/binfmt --install all > /dev/null; then
  echo 'QEMU could not be set up here; what the machine runs already will have to do' >&2
fi`;

/** The beginning of a job for all platforms, up to the loop in which $PLATFORM and $ARCH are each of PLATFORMS and ARCHES. */
const eachPlatform = [
  retry,
  firstTag,
  fill,
  source,
  qemu,
  `n=0
for PLATFORM in $(echo "$PLATFORMS" | tr , ' '); do
  n=$((n + 1)) && ARCH="$(echo "$ARCHES" | cut -d ' ' -f "$n")"`,
].join('\n');

/** All platforms on one machine, those of others under QEMU. IMAGE, PLATFORMS, ARCHES, and all of `build` but PLATFORM and ARCH */
export const emulated = script(
  eachPlatform,
  inLoop(upstreams, plainImages, buildFlags, buildOne),
  'done',
  point,
  'image="$IMAGE"',
  check,
  joinedTags,
);

/** Several images by a script of their own, all platforms on one machine. IMAGES, PLATFORMS, ARCHES, and all of `group` but PLATFORM and ARCH */
export const emulatedGroup = script(
  eachPlatform,
  inLoop(upstreams, plainImages, runGroup),
  'done',
  point,
  'for image in $IMAGES; do',
  inLoop(check, joinedTags),
  'done',
);

/** An image of somebody else with all its platforms. IMAGE, FROM, PLATFORMS, INSECURE */
export const mirror = script(
  retry,
  point,
  `if docker buildx version > /dev/null 2>&1; then
  for tag in \${BUILD_TAG:-} $FINAL_TAG; do point "$IMAGE:$tag" "$FROM"; done
else
  copies=''
  for platform in $(echo "$PLATFORMS" | tr , ' '); do
    copy="$IMAGE:run-$RUN_ID-$(echo "\${platform#linux/}" | tr -d /)"
    retry docker pull --quiet --platform "$platform" "$FROM"
    docker tag "$FROM" "$copy"
    retry docker push "$copy"
    copies="$copies $copy"
  done
  for tag in \${BUILD_TAG:-} $FINAL_TAG; do point "$IMAGE:$tag" $copies; done
fi`,
);

/** Published images as files in ./images. EXPORTS: a line each of image, platform, arch, tag inside and file; \`{tag}\` is each tag. REGISTRY */
export const exportImages = script(
  retry,
  compress,
  'mkdir -p images',
  `for tag in \${BUILD_TAG:-} $FINAL_TAG; do
  printf '%s\\n' "$EXPORTS" | sed "s|{tag}|$tag|g" | while read -r image platform arch saved file; do
    name="\${image#"$REGISTRY"}:$saved"
    retry docker pull --quiet --platform "$platform" "$image:run-$RUN_ID$arch"
    docker tag "$image:run-$RUN_ID$arch" "$name"
    docker save "$name" | compress > "images/$file"
  done
done`,
);

/** Images of others as files in ./assets. PLATFORM, SAVES: a line each of image, name and tag inside, and file */
export const saveImages = script(
  retry,
  compress,
  'mkdir -p assets',
  `printf '%s\\n' "$SAVES" | while read -r image name file; do
  retry docker pull --quiet --platform "$PLATFORM" "$image"
  docker tag "$image" "$name"
  docker save "$name" | compress > "assets/$file"
done`,
);

/** Uploads what the jobs before have kept to the newest GitHub release. RELEASE, FILES */
export const deploy = script(
  firstTag,
  `if ! command -v gh > /dev/null; then
  { apk add --no-cache github-cli || apt-get install --yes gh; } > /dev/null 2>&1
fi
export GH_TOKEN="\${GH_TOKEN:-\${GIT_OAUTH_TOKEN:-}}"
release="$(gh release list --repo "$RELEASE" --limit 1 | cut -f 1)"
for file in $FILES; do gh release upload "\${release:-$TAG}" "$file" --repo "$RELEASE" --clobber; done`,
);

const splitbuildFlags = `set -f -- && IFS='
'
for setting in $SETTINGS; do set -- "$@" --set "$setting"; done
unset IFS && set +f
if [ -n "$WORKFLOW" ]; then set -- "$@" --workflow "$WORKFLOW"; fi`;

/** One job of `splitbuild build`. NAME, CONFIG, WORKFLOW, SETTINGS, PLATFORM (none: all of them, published at once) */
export const splitbuildBuild = script(
  splitbuildFlags,
  'if [ -n "$PLATFORM" ]; then set -- "$@" --platform "$PLATFORM" --no-publish; fi',
  'npx --yes splitbuild build "$NAME" --config "$CONFIG" --run-id "run-$RUN_ID" --builder here=local "$@"',
);

/** The manifest job. NAME, CONFIG, WORKFLOW, SETTINGS */
export const splitbuildPublish = script(
  splitbuildFlags,
  'npx --yes splitbuild publish "$NAME" --config "$CONFIG" --run-id "run-$RUN_ID" "$@"',
);
