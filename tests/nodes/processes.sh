# shellcheck shell=bash
# Starts, watches and stops the processes of scripts/nodes, which reads this file. Each process runs in a folder of $run that has
# its name. That folder tells it apart from an unrelated process with the same id.

alive() {
  local pid
  pid=$(cat "$run/$1.pid" 2> /dev/null) && [[ $(readlink "/proc/$pid/cwd")/ == "$run/$1"/* ]]
}

# Starts a process that outlives this script: `spawn NAME COMMAND..`.
spawn() {
  local name=$1
  shift
  ! alive "$name" || fail "$name already runs"
  (
    cd "$run/$name" || exit
    exec setsid "$@" >> "$run/$name.log" 2>&1 < /dev/null
  ) &
  echo $! > "$run/$name.pid"
  until alive "$name" || ! kill -0 $! 2> /dev/null; do sleep 0.01; done
}

# Sends a signal to the process NAME: `signal SIGNAL NAME`.
signal() { ! alive "$2" || kill "-$1" "$(cat "$run/$2.pid")" 2> /dev/null || true; }

# Repeats a command until it succeeds: `wait_for SECONDS NAME WHAT COMMAND..`. Fails if the time is over, or if NAME has ended.
wait_for() {
  local end=$((SECONDS + $1)) name=$2 what=$3
  shift 3
  until "$@" > /dev/null 2>&1; do
    alive "$name" || { tail -20 "$run/$name.log" >&2; fail "$name has ended: see $run/$name.log"; }
    [ "$SECONDS" -lt "$end" ] || { tail -20 "$run/$name.log" >&2; fail "$name: waited too long for: $what"; }
    sleep 0.1
  done
}

dead() { ! alive "$1"; }

stop() { # stops the processes NAME..: all are told first, and those that do not end in half a minute are killed
  local name end=$((SECONDS + 30))
  for name in "$@"; do signal TERM "$name"; done
  for name in "$@"; do
    until dead "$name" || [ "$SECONDS" -ge "$end" ]; do sleep 0.05; done
    signal KILL "$name"
    until dead "$name"; do sleep 0.05; done
    rm -f "$run/$name.pid"
  done
}

# Prints this many free ports. They are below those that the system gives to clients, so a node that is started again finds its
# own still free.
free_ports() {
  python3 - "$1" <<'END'
import random, socket, sys
found = []
for port in random.sample(range(15000, 32000), 2000):
    with socket.socket() as s:
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            continue
    found.append(str(port))
    if len(found) == int(sys.argv[1]):
        break
print(*found)
END
}
