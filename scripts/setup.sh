#!/bin/sh
# Prepare this machine for pyd: the programs the engine drives, and .venv.
#
#   setup.sh all     both; needs root only while a package is missing
#   setup.sh venv    .venv alone, for the parts that run everywhere
#   setup.sh peer    a dockerd to compare with, unpacked into .cache/peer and never started here
#
# A second run finds everything in place and ends in well under a second.
set -eu
cd "$(dirname "$0")/.."

# What the engine needs, then what its tests need. Debian's and Ubuntu's names.
engine_packages='conmon crun runc nftables libnftables1 libseccomp2 iproute2 busybox-static tini python3-venv ca-certificates'
test_packages='curl git procps skopeo strace zstd'
# These come as one file each: their packages would also install and start a service.
unpacked='docker:docker-cli,docker.io docker-registry:docker-registry'
# The same for a system that is not Debian: programs, looked for in PATH.
programs='conmon crun runc nft ip busybox tini curl git skopeo strace zstd docker docker-registry'

say() { printf 'setup: %s\n' "$*" >&2; }
fail() { say "$@"; exit 1; }

missing_packages() {
    for package in $engine_packages $test_packages; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || printf '%s ' "$package"
    done
}

missing_programs() {
    for program in $programs; do
        PATH="$PATH:/usr/sbin:/sbin:$PWD/.cache/bin" command -v "$program" >/dev/null || printf '%s ' "$program"
    done
}

refresh_lists() {
    [ -z "${lists_fresh-}" ] || return 0
    say 'updating the package lists'
    apt-get update -qq
    lists_fresh=yes
}

# unpack PROGRAM PACKAGE,PACKAGE: take the one file out of the first package that exists.
unpack() {
    [ "$(id -u)" = 0 ] || fail "$1 is missing; run make setup as root"
    refresh_lists
    scratch=$(mktemp -d)
    for package in $(echo "$2" | tr , ' '); do
        (cd "$scratch" && apt-get download -qq -o APT::Sandbox::User=root "$package" 2>/dev/null) && break
    done
    mkdir -p .cache/bin
    for deb in "$scratch"/*.deb; do
        [ -e "$deb" ] || fail "no package with $1 can be downloaded (tried $2)"
        say "unpacking $1 from $(basename "$deb")"
        dpkg-deb -x "$deb" "$scratch/root"
        cp "$scratch/root/usr/bin/$1" ".cache/bin/$1.new"
        mv ".cache/bin/$1.new" ".cache/bin/$1"
    done
    rm -rf "$scratch"
}

system_packages() {
    [ "$(uname -s)" = Linux ] || fail "the engine runs on Linux; on $(uname -s) only 'make venv', 'make lint' and 'make test-unit' work so far"
    if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
        missing=$(missing_programs)
        [ -z "$missing" ] && return 0
        say 'this system has no apt-get; install with its own package manager what provides these programs:'
        fail "$missing(and libnftables, libseccomp, a static busybox, Python 3.11 or newer with venv)"
    fi
    missing=$(missing_packages)
    if [ -n "$missing" ]; then
        [ "$(id -u)" = 0 ] || fail "these packages are missing: $missing- run make setup as root, or: apt-get install $missing"
        refresh_lists
        say "installing $missing"
        # shellcheck disable=SC2086  # a list of names
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >&2
    fi
    for pair in $unpacked; do
        PATH="$PATH:$PWD/.cache/bin" command -v "${pair%%:*}" >/dev/null || unpack "${pair%%:*}" "${pair#*:}"
    done
}

peer() {
    [ -e .cache/peer/complete ] && return 0
    [ "$(id -u)" = 0 ] || fail 'make bench needs root'
    command -v apt-get >/dev/null || fail 'no dockerd in PATH; name one: make bench PEER=/path/to/dockerd'
    refresh_lists
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends iptables libdevmapper1.02.1 >&2
    rm -rf .cache/peer
    mkdir -p .cache/peer
    scratch=$(mktemp -d)
    (cd "$scratch" && apt-get download -qq -o APT::Sandbox::User=root docker.io containerd)
    for deb in "$scratch"/*.deb; do
        say "unpacking $(basename "$deb")"
        dpkg-deb -x "$deb" .cache/peer
    done
    rm -rf "$scratch"
    touch .cache/peer/complete
}

new_enough() { "$1" -c 'import sys; raise SystemExit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
    if [ -n "${PYTHON-}" ]; then
        new_enough "$PYTHON" || fail "PYTHON=$PYTHON is not Python 3.11 or newer"
        echo "$PYTHON"
        return 0
    fi
    # The system's own first: a version manager's python3 in PATH may be any version.
    for candidate in /usr/bin/python3 python3 python3.14 python3.13 python3.12 python3.11; do
        if new_enough "$candidate"; then
            echo "$candidate"
            return 0
        fi
    done
    fail 'no Python 3.11 or newer found; install one, or name it: make setup PYTHON=/path/to/python3'
}

virtual_environment() {
    stamp=.venv/.installed
    wanted=$(cksum <pyproject.toml)
    if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && .venv/bin/python -c '' 2>/dev/null; then
        return 0
    fi
    if ! .venv/bin/python -c '' 2>/dev/null; then
        python=$(find_python)
        say "making .venv with $("$python" --version)"
        "$python" -m venv --clear .venv || fail 'cannot make .venv (on Debian, the package python3-venv is needed)'
    fi
    rm -f "$stamp"
    say 'installing pyd and its development tools into .venv'
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --editable . --group dev
    echo "$wanted" >"$stamp"
}

case ${1-} in
all) system_packages; virtual_environment ;;
venv) virtual_environment ;;
peer) peer ;;
*) fail 'usage: setup.sh all|venv|peer' ;;
esac
