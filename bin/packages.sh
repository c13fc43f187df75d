# Sourced by bin/start and bin/test: makes sure that Debian packages are there.

# What the build links (readelf -d .build/debug/postern): libpq (StorePostgres), SQLite (StoreSQLite, through GRDB), libargon2,
# libfido2 and libqrencode (Credentials), zlib (AsyncHTTPClient, Web), libcurl (Connectors). pkg-config tells SwiftPM where they are.
build_packages="libpq-dev libsqlite3-dev libargon2-dev libfido2-dev libqrencode-dev libcurl4-openssl-dev zlib1g-dev pkg-config"

# need PACKAGE…: installs what is missing as root or by sudo; without either, says the exact command and stops.
need() {
    local missing=() package
    if ! command -v dpkg-query > /dev/null; then
        echo "This is not Debian or Ubuntu. Install the counterparts of: $*" >&2
        return 0
    fi
    for package in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2> /dev/null)" = installed ] || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return 0

    local as=()
    if [ "$(id -u)" -ne 0 ]; then
        if ! sudo -n true 2> /dev/null && ! { [ -t 0 ] && command -v sudo > /dev/null; }; then
            echo "These packages are missing. Run this, then start again:" >&2
            echo "    sudo apt-get install -y --no-install-recommends ${missing[*]}" >&2
            exit 1
        fi
        as=(sudo)
    fi
    echo "Installing ${missing[*]}"
    "${as[@]}" apt-get update -qq
    "${as[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" > /dev/null
}

# Swift 6.1 or newer must be there already.
need_swift() {
    if ! command -v swift > /dev/null; then
        echo "Swift is missing. Install Swift 6.1 or newer: https://www.swift.org/install/linux/" >&2
        exit 1
    fi
}
