# shellcheck shell=bash
# Installs the programs of scripts/nodes, which reads this file. Each kind is installed once, into a folder of $cache that is named
# after what it is made from.

# Installs one kind: `install NAME COMMAND FILE..`. The command is a function of this file, and runs in the new folder, beside the
# files. Sets the variable NAME to that folder.
install() {
  local name=$1 recipe stamp
  recipe="$(declare -f unpack_debian "$2"); $2"
  shift 2
  stamp=$({ echo "$recipe"; [ $# = 0 ] || cat "$@"; } | sha256sum | cut -c1-16)
  declare -g "$name=$cache/$name-$stamp"
  (
    flock 9
    [ ! -e "${!name}/complete" ] || exit 0
    echo "nodes: installing $name, for the first time here" >&2
    rm -rf "${!name}"
    mkdir -p "${!name}"
    [ $# = 0 ] || cp "$@" "${!name}/"
    # A new shell, because errors do not end a function that is called before `||`.
    (cd "${!name}" && bash -euo pipefail -c "$recipe") > "$cache/$name.log" 2>&1 || {
      tail -20 "$cache/$name.log" >&2
      fail "$name was not installed: see $cache/$name.log"
    }
    touch "${!name}/complete"
  ) 9> "$cache/lock"
}

programs() {
  install bitcoind unpack_bitcoind
  install lnd build_lnd "$here/go/lnd/"{go.mod,go.sum}
  install aperture build_aperture "$here/go/aperture/"{go.mod,go.sum}
  install aperture_client build_aperture_client "$here/go/aperture_client/"{go.mod,go.sum,main.go}
  install lnbits install_lnbits "$here/lnbits/requirements.txt"
  install electrumx install_electrumx "$here/electrum/server.txt"
  install electrum install_electrum "$here/electrum/wallet.txt"
}

# Unpacks packages of Debian into the folder `unpacked`, and changes nothing else on this machine: `unpack_debian SUITE,SUITE PACKAGE..`.
# The mirror is the one that apt uses. If Debian drops a package, this fails and names it.
unpack_debian() {
  local mirror suite deb apt
  mirror=$(grep -rhoE 'https?://[^ ]+/debian/?( |$)' /etc/apt --include='*.list' --include='*.sources' | sed -n '1s, *$,,p')
  mkdir -p apt/state/lists/partial apt/cache/archives/partial debs unpacked
  : > apt/status
  for suite in ${1//,/ }; do
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main"
  done > apt/sources.list
  shift
  apt=(apt-get -qq -o Dir::Etc::sourcelist="$PWD/apt/sources.list" -o Dir::Etc::sourceparts=- -o Dir::State="$PWD/apt/state"
    -o Dir::State::status="$PWD/apt/status" -o Dir::Cache="$PWD/apt/cache" -o APT::Sandbox::User=root -o Acquire::Languages=none)
  "${apt[@]}" update
  (cd debs && "${apt[@]}" download "$@")
  for deb in debs/*.deb; do dpkg -x "$deb" unpacked; done
  rm -rf debs apt
}

# Bitcoin Knots of Debian's sid, beside the libraries of trixie: it runs on older systems too.
unpack_bitcoind() {
  local libraries lib program
  libraries=(libevent-core-2.1-7t64 libevent-extra-2.1-7t64 libevent-pthreads-2.1-7t64 libstdc++6 libgcc-s1 libzmq5 libc6
    libpgm-5.3-0t64 libnorm1t64 libsqlite3-0 libsodium23 libgssapi-krb5-2 libkrb5-3 libk5crypto3 libkrb5support0 libcom-err2
    libkeyutils1 libbsd0 libmd0 libxml2 liblzma5 zlib1g)
  unpack_debian sid,trixie bitcoin-knots "${libraries[@]/%//trixie}"
  lib=$PWD/unpacked/usr/lib/$(uname -m)-linux-gnu
  mkdir bin
  for program in bitcoind bitcoin-cli; do
    printf '#!/bin/sh\nexec "%s" --library-path "%s" "%s" "$@"\n' "$lib"/ld-linux-*.so.* "$lib" "$PWD/unpacked/usr/bin/$program" > "bin/$program"
    chmod +x "bin/$program"
  done
  bin/bitcoind --version
}

build_lnd() {
  mkdir bin
  go build -tags 'signrpc walletrpc chainrpc invoicesrpc routerrpc' -ldflags '-s -w' -o bin/ \
    github.com/lightningnetwork/lnd/cmd/lnd github.com/lightningnetwork/lnd/cmd/lncli
}

build_aperture() {
  mkdir bin
  go build -ldflags '-s -w' -o bin/ github.com/lightninglabs/aperture/cmd/aperture
}

build_aperture_client() {
  mkdir bin
  go build -ldflags '-s -w' -o bin/ .
}

install_lnbits() {
  python3 -m venv venv
  venv/bin/pip install --quiet --no-deps -r requirements.txt
  mkdir cwd
  # LNbits looks for its static files in the folder that it is started in.
  ln -s "$(venv/bin/python -c 'import importlib.util as u; print(u.find_spec("lnbits").submodule_search_locations[0])')" cwd/lnbits
}

install_electrumx() {
  python3 -m venv venv
  venv/bin/pip install --quiet --no-deps -r server.txt
}

# Electrum of Debian's bookworm. Its Python packages come from a virtual environment, so it does not depend on the system's Python.
install_electrum() {
  unpack_debian bookworm electrum python3-electrum libsecp256k1-1
  python3 -m venv venv
  venv/bin/pip install --quiet --no-deps -r wallet.txt
  mkdir bin
  cat > bin/electrum <<END
#!/bin/sh
export PYTHONPATH="$PWD/unpacked/usr/lib/python3/dist-packages" LD_LIBRARY_PATH="$(dirname "$PWD"/unpacked/usr/lib/*/libsecp256k1.so.1)"
exec "$PWD/venv/bin/python" "$PWD/unpacked/usr/bin/electrum" "\$@"
END
  chmod +x bin/electrum
  bin/electrum version --offline
}
