#!/usr/bin/env bash
# Runs the adapter for Core Lightning against real nodes, on the bitcoind of scripts/nodes. No package registry has lightningd, so
# it is yours, 26.06 or newer, and no automatic run includes this.
#
#   export X402_LIGHTNINGD=/path/lightningd X402_LIGHTNING_CLI=/path/lightning-cli
#   scripts/nodes up
#   tests/nodes/cln/by_hand.sh up      starts two lightningd, cln_a and cln_b, with channels from cln_a to cln_b and to lnd_b
#   tests/nodes/cln/by_hand.sh test    runs the tests in by_hand.rs, of which some kill a node
#   tests/nodes/cln/by_hand.sh kill NAME | start NAME | cli NAME COMMAND.. | down
#
# `down` comes before that of scripts/nodes. The nodes are in the folder of that run.
set -euo pipefail
umask 077
cd "$(dirname "$0")/../../.."

fail() { echo "by_hand: $*" >&2; exit 1; }

env=$(scripts/nodes env)
[ -e "$env" ] || fail "nothing runs: start with scripts/nodes up"
# shellcheck disable=SC1090
. "$env"
run=$X402_NODES_RUN
lightningd=${X402_LIGHTNINGD:?set it to the program lightningd}
lightning_cli=${X402_LIGHTNING_CLI:?set it to the program lightning-cli}
program=$(readlink "/proc/$(cat "$X402_NODE_BITCOIND_PID")/exe")
bitcoin_cli=${program%%/unpacked/*}/bin/bitcoin-cli

# shellcheck source=tests/nodes/processes.sh
. tests/nodes/processes.sh

btc() { "$bitcoin_cli" -datadir="$run/bitcoind" "$@"; }
mine() { btc generatetoaddress "$1" "$(btc getnewaddress)" > /dev/null; }
cli() { "$lightning_cli" --lightning-dir="$run/$1/data" --network=regtest "${@:2}"; }
# Succeeds if the JSON that a command prints has a value: `says FILTER COMMAND..`.
says() { "${@:2}" 2> /dev/null | python3 -c 'import json, sys; sys.exit(not eval(sys.argv[1], {"it": json.load(sys.stdin)}))' "$1"; }
field() { python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }

start() {
  local name=$1
  spawn "$name" "$lightningd" --conf="$run/$name/config"
  wait_for 60 "$name" "its socket" says '"warning_lightningd_sync" not in it' cli "$name" getinfo
}

channels_ready() {
  wait_for 60 cln_a "$1 channels" says "sum(c['state'] == 'CHANNELD_NORMAL' and c['peer_connected'] for c in it['channels']) == $1" \
    cli cln_a listpeerchannels
}

configure() { # NAME PORT
  local rpc=${X402_NODE_BITCOIND_RPC#http://}
  mkdir -p "$run/$1/data"
  cat > "$run/$1/config" <<END
network=regtest
lightning-dir=$run/$1/data
alias=$1
addr=127.0.0.1:$2
autoconnect-seeker-peers=0
bitcoin-cli=$bitcoin_cli
bitcoin-datadir=$run/bitcoind
bitcoin-rpcconnect=127.0.0.1
bitcoin-rpcport=${rpc##*:}
bitcoin-rpcuser=nodes
bitcoin-rpcpassword=$(sed 's/^nodes:\(.*\)@.*/\1/' <<< "$rpc")
END
}

up() {
  local a b peer
  [ ! -e "$run/cln_a" ] || fail "there are such nodes already: $run/cln_a"
  read -r a b <<< "$(free_ports 2)"
  configure cln_a "$a"
  configure cln_b "$b"
  start cln_a
  start cln_b
  btc sendtoaddress "$(cli cln_a newaddr bech32 | field bech32)" 2 > /dev/null
  mine 1
  wait_for 60 cln_a "its money" says 'any(o["status"] == "confirmed" for o in it["outputs"])' cli cln_a listfunds
  for peer in "$(cli cln_b getinfo | field id)@127.0.0.1:$b" "$X402_NODE_LND_B_P2P"; do
    cli cln_a connect "$peer" > /dev/null
    cli cln_a -k fundchannel id="${peer%@*}" amount=10000000 push_msat=2000000000 > /dev/null
    mine 6
    wait_for 60 cln_a "its change" says 'all(o["status"] == "confirmed" for o in it["outputs"])' cli cln_a listfunds
  done
  channels_ready 2
  # A channel is announced after six blocks, and lightningd sees new blocks twice a minute.
  wait_for 120 cln_b "both channels" says 'len({c["short_channel_id"] for c in it["channels"]}) >= 2' cli cln_b listchannels
}

run_tests() {
  local name
  mine 1
  for name in a b; do export "X402_CLN_${name^^}=cln://$run/cln_$name/data/regtest/lightning-rpc"; done
  export X402_CLN_SCRIPT=$PWD/tests/nodes/cln/by_hand.sh
  cargo test --all-features --test nodes by_hand -- --show-output --test-threads=1 "$@"
}

case ${1:-} in
  up) up ;;
  test) run_tests "${@:2}" ;;
  kill) signal KILL "$2" && until dead "$2"; do sleep 0.02; done ;;
  start)
    start "$2"
    dead cln_a || dead cln_b || channels_ready 2
    ;;
  cli) cli "${@:2}" ;;
  down) stop cln_a cln_b ;;
  *) sed -n '2,/^set /s/^#\( \|$\)//p' "$0"; exit 2 ;;
esac
