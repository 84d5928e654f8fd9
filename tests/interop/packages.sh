# shellcheck shell=bash
# Installs the packages of other projects for scripts/interop and scripts/interop_servers, which read this file. Then $scratch/run
# has the scripts of this folder beside node_modules, and $python runs with the packages of Python.
here=$PWD/tests/interop
cache=${XDG_CACHE_HOME:-$HOME/.cache}/tower-x402-interop

# Installs packages once, into a folder named after the contents of the files. Usage: `install KIND FILE.. -- COMMAND..`; the
# command runs in that folder.
install() {
  local kind=$1 files=() stamp folder
  shift
  while [ "$1" != -- ]; do files+=("$1"); shift; done
  shift
  stamp=$(cat "${files[@]}" | sha256sum | cut -c1-16)
  folder=$cache/$kind-$stamp
  if [ ! -e "$folder/complete" ]; then
    echo "installing $kind packages into $folder" >&2
    rm -rf "$folder"
    mkdir -p "$folder"
    cp "${files[@]}" "$folder/"
    (cd "$folder" && "$@") >"$scratch/install" 2>&1 || { cat "$scratch/install" >&2; exit 1; }
    touch "$folder/complete"
  fi
  echo "$folder"
}

in_venv() {
  python3 -m venv venv
  venv/bin/pip install --quiet --no-deps -r requirements.txt
}

# Builds a package of ours that uses another project's crate: `build_crate FOLDER`. Its programs are in $cache/target/debug.
build_crate() { cargo build --quiet --locked --manifest-path "$here/$1/Cargo.toml" --target-dir "$cache/target"; }

node_modules=$(install npm "$here/package.json" "$here/package-lock.json" -- npm ci --ignore-scripts --no-audit --no-fund)
venv=$(install pip "$here/requirements.txt" -- in_venv)
python=$venv/venv/bin/python

# Node looks for packages beside the script.
mkdir "$scratch/run"
cp "$here"/*.mjs "$here"/*.py "$scratch/run/"
ln -s "$node_modules/node_modules" "$scratch/run/node_modules"
