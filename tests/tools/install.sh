# shellcheck shell=bash
# Brings the programs that tests/tools needs into the target folder; nothing is installed on the machine. To be sourced at
# the root of the repository.

readonly TOOLS="${CARGO_TARGET_DIR:-target}/tools"

fail() {
    printf 'tests/tools: %s\n' "$*" >&2
    exit 1
}

# debian_program PACKAGE PROGRAM: prints the path of the program that is in the PATH, else of the one in Debian's package,
# unpacked. No service of the package starts, and root is needed only where apt has no lists yet. A package whose program
# needs others than the machine has fails at once: nothing is unpacked but the package itself.
debian_program() {
    local package="$1" program="$2" folder found
    if found="$(command -v "$program")"; then
        printf '%s\n' "$found"
        return
    fi
    folder="$TOOLS/$package"
    found="$folder/usr/bin/$program"
    if [[ ! -x "$found" ]]; then
        command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null ||
            fail "$program is missing, and without apt-get it cannot be fetched: put it into the PATH"
        rm -rf "$folder" "$folder.partial"
        mkdir -p "$folder.partial"
        printf 'fetching %s for %s\n' "$package" "$program" >&2
        download "$package" "$folder.partial" || {
            as_root apt-get update >&2 && download "$package" "$folder.partial"
        } || fail "apt-get cannot download $package, which has $program: the lines above say why"
        dpkg-deb --extract "$folder.partial"/*.deb "$folder.partial" || fail "$package cannot be unpacked"
        rm "$folder.partial"/*.deb
        mv "$folder.partial" "$folder"
    fi
    "$found" --version >/dev/null 2>&1 || fail "$found, of the package $package, does not start"
    printf '%s\n' "$found"
}

# python_program PACKAGE PROGRAM: the same for a package of PyPI, in a virtual environment of its own.
python_program() {
    local package="$1" program="$2" folder found
    if found="$(command -v "$program")"; then
        printf '%s\n' "$found"
        return
    fi
    mkdir -p "$TOOLS"
    folder="$(cd "$TOOLS" && pwd)/$package"
    found="$folder/bin/$program"
    if [[ ! -x "$found" ]]; then
        rm -rf "$folder"
        printf 'fetching %s for %s\n' "$package" "$program" >&2
        python3 -m venv "$folder" >&2 || {
            # Debian has what makes virtual environments in a package of its own.
            rm -rf "$folder"
            as_root apt-get update >&2 && as_root apt-get install --yes --no-install-recommends python3-venv >&2 &&
                python3 -m venv "$folder" >&2
        } || fail "$program is missing, and cannot be fetched without python3 and python3-venv: the lines above say why"
        "$folder/bin/pip" install --quiet --disable-pip-version-check "$package" >&2 ||
            fail "pip cannot install $package: the lines above say why"
    fi
    printf '%s\n' "$found"
}

download() {
    (cd "$2" && apt-get --quiet download "$1" >&2)
}

as_root() {
    if ((EUID)); then
        sudo --non-interactive "$@"
    else
        "$@"
    fi
}
