#!/usr/bin/env bash
# Builds what the Dockerfile describes, without a daemon and without a base image, and sees that it works:
#
#   deploy/image/build.sh [ARCHITECTURE...]    amd64 and arm64; the machine's own when none is named
#
# The image is in buildah's storage as keyguard:VERSION-ARCHITECTURE; `buildah push` takes it from there. Needed are
# what `compile` needs, buildah, curl, and, to run what is for another architecture, QEMU's user emulation.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# Statically linked, with the time zones of the page and the CA certificates of the public.
readonly MOST_BYTES=$((26 * 1000 * 1000))
readonly USER_ID=65532
# Works in containers and as an ordinary user, where overlays and namespaces do not.
export STORAGE_DRIVER="${STORAGE_DRIVER:-vfs}" BUILDAH_ISOLATION="${BUILDAH_ISOLATION:-chroot}"

say() { printf '==> %s\n' "$*"; }
fail() {
    printf 'build.sh: %s\n' "$*" >&2
    exit 1
}

version="$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)"
label() { sed -n "s/.*org.opencontainers.image.$1=\"\([^\"]*\)\".*/\1/p" deploy/image/Dockerfile; }

# Builds the image of an architecture and unpacks its root file system into a folder.
build() {
    local architecture="$1" root="$2" binary container image="keyguard:$version-$1"
    say "$architecture: compile"
    binary="$(deploy/image/compile "$architecture")"
    say "$architecture: put together $image"
    container="$(buildah from --arch "$architecture" scratch)"
    buildah copy --quiet --chmod 0555 "$container" "$binary" /keyguard >/dev/null
    buildah config --os linux --arch "$architecture" --user "$USER_ID:$USER_ID" --port 8443 --port 8080 \
        --entrypoint '["/keyguard"]' --label "org.opencontainers.image.title=$(label title)" \
        --label "org.opencontainers.image.description=$(label description)" "$container"
    buildah commit --quiet "$container" "$image" >/dev/null
    # The file system of the container is that of the image: nothing changed since.
    cp -a "$(buildah mount "$container")/." "$root"
    buildah rm "$container" >/dev/null
    inspect "$architecture" "$image" "$root"
}

inspect() {
    local architecture="$1" image="$2" root="$3" bytes user
    [[ "$(cd "$root" && find . -type f)" == ./keyguard ]] || fail "$image has other files than /keyguard"
    ! grep -qa '/ld-linux' "$root/keyguard" || fail "/keyguard is not static"
    user="$(buildah inspect --type image --format '{{.OCIv1.Config.User}}/{{.OCIv1.Architecture}}' "$image")"
    [[ "$user" == "$USER_ID:$USER_ID/$architecture" ]] || fail "$image is for $user"
    bytes="$(stat --format=%s "$root/keyguard")"
    ((bytes < MOST_BYTES)) || fail "$image has $bytes bytes, more than $MOST_BYTES"
    say "$architecture: $image has $bytes bytes"
}

# Runs the program from the root file system, as the image's user: its version, then the demonstration, then a server
# that must become ready.
try() {
    local architecture="$1" root="$2" machine emulator="" run
    machine="$([[ "$architecture" == amd64 ]] && echo x86_64 || echo aarch64)"
    if [[ "$(uname -m)" != "$machine" ]]; then
        emulator="$(command -v "qemu-$machine-static")" || {
            say "$architecture: NOT run: there is no qemu-$machine-static"
            return
        }
        cp "$emulator" "$root/emulator"
        emulator=/emulator
    fi
    run=(chroot --userspec="$USER_ID:$USER_ID" "$root")
    ((EUID == 0)) || fail "chroot needs root: run this in buildah unshare"
    # What a pod mounts, and a folder that the demonstration may write to.
    install --directory --owner="$USER_ID" --group="$USER_ID" "$root/mounted"
    say "$architecture: $("${run[@]}" $emulator /keyguard --version)"
    "${run[@]}" $emulator /keyguard demo --once --directory /mounted >"$root/demo.log" 2>&1 ||
        fail "the demonstration failed: $(tail -3 "$root/demo.log")"
    say "$architecture: the demonstration has the expected verdicts"
    chmod -R a-w "$root/mounted"
    "${run[@]}" $emulator /keyguard serve --listen 127.0.0.1:18443 --health-listen 127.0.0.1:18080 \
        --tls-cert /mounted/tls.crt --tls-key /mounted/tls.key --state /mounted/manifests >"$root/serve.log" 2>&1 &
    server=$!
    local answer="" tries
    for ((tries = 0; tries < 200; tries++)); do
        answer="$(curl --silent --output /dev/null --write-out '%{http_code}' http://127.0.0.1:18080/readyz || true)"
        [[ "$answer" == 200 ]] && break
        kill -0 "$server" 2>/dev/null || fail "the server ended: $(tail -3 "$root/serve.log")"
        sleep 0.05
    done
    [[ "$answer" == 200 ]] || fail "the server is not ready: $answer $(tail -3 "$root/serve.log")"
    say "$architecture: serve answers 200 at /readyz, as user $(ps -o uid= -p "$server" | tr -d ' ')"
    kill -INT "$server" && sleep 0.2 && kill -INT "$server" || true
    wait "$server" || fail "the server ended with $?"
    server=""
}

((EUID == 0)) || exec buildah unshare "$0" "$@"
temporary="$(mktemp -d)"
server=""
trap '[[ -z "$server" ]] || kill "$server"; rm -rf "$temporary"' EXIT
architectures=("$@")
(($#)) || architectures=("$([[ "$(uname -m)" == aarch64 ]] && echo arm64 || echo amd64)")
for architecture in "${architectures[@]}"; do
    mkdir "$temporary/$architecture"
    chmod 0755 "$temporary" "$temporary/$architecture"
    build "$architecture" "$temporary/$architecture"
    try "$architecture" "$temporary/$architecture"
done
