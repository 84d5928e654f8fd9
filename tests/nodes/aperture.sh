# shellcheck shell=bash
# Lets aperture's own gRPC client pay a service of ours. scripts/nodes reads this file.

# Starts the gRPC example with the second LND as its node, calls it with the first LND as the client's wallet, and prints a line
# about it.
aperture_pays() {
  local server address report sunny hour once
  report=0a0931207265706f727473                                           # "1 reports"
  sunny=0a1e73756e6e7920696e206f736c6f3b20796f75207061696420313020736174 # "sunny in oslo; you paid 10 sat"
  server=$(cargo build -q -p tower-x402-stack --example grpc --message-format json | sed -n 's/.*"executable":"\([^"]*\)".*/\1/p')
  [ -n "$server" ] || fail "aperture: the gRPC example cannot be built"
  stop grpc
  mkdir -p "$run/grpc"
  : > "$run/grpc.log"
  : > "$run/aperture.log"
  spawn grpc "$server" 127.0.0.1:0 "$X402_NODE_LND_B_INVOICE"
  wait_for 60 grpc "its address" grep ' runs at ' "$run/grpc.log"
  address=$(sed -n 's|.* runs at http://\(.*\)\.$|\1|p' "$run/grpc.log")
  hour=$(aperture_calls "$address" Report 3)
  once=$(aperture_calls "$address" Ask 2)
  stop grpc
  # One payment opens the method for an hour.
  expect "$hour" "call 1: ok $report" "call 2: ok $report" "call 3: ok $report" "token: paid 10000 msat fee 0 msat"
  # One payment buys one call, and a second use is refused.
  expect "$once" "call 1: ok $sunny" "call 2: error 13 payment required" "token: paid 10000 msat fee 0 msat"
  expect "$(grep -c 'payment settled' "$run/grpc.log")" 2
  echo "aperture's ClientInterceptor paid a gRPC service from LND to LND: one hour with one payment, one call, no second use"
}

# Calls a method with the text "oslo": `aperture_calls ADDRESS METHOD TIMES`. A refused call is no failure here.
aperture_calls() {
  { timeout 300 "$X402_APERTURE_CLIENT" --address "$1" --method "/weather.Weather/$2" --request 0a046f736c6f --calls "$3" 2>> "$run/aperture.log" || true; } |
    sed 's/ hash [0-9a-f]\{64\}//'
}

# Compares lines: `expect TEXT LINE..`.
expect() {
  local expected
  expected=$(printf '%s\n' "${@:2}")
  [ "$1" = "$expected" ] || fail "aperture: expected:"$'\n'"$expected"$'\n'"but got:"$'\n'"$1"$'\n'"see $run/grpc.log and $run/aperture.log"
}
