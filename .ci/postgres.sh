# A PostgreSQL server of Debian's own packages, on a free port of the loopback, as a user that is not
# root; sourced by .ci/run. Sets `postgres` to the folder of its programs, empty where there is none;
# stop_postgres stops the server and removes its files.
postgres=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | tail -n 1 || true)
if [ -z "$postgres" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  { apt-get update && apt-get install -y --no-install-recommends postgresql; } >/dev/null 2>&1 || true
  postgres=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | tail -n 1 || true)
fi
stop_postgres() { :; }
if [ -n "$postgres" ]; then
  postgres_home=$(mktemp -d)
  printf 'secret' >"$postgres_home/password"
  as_postgres=()
  if [ "$(id -u)" = 0 ]; then
    chown -R nobody "$postgres_home"
    as_postgres=(setpriv --reuid=nobody --clear-groups)
  fi
  stop_postgres() {
    (cd / && "${as_postgres[@]}" "$postgres/pg_ctl" -D "$postgres_home/data" -m immediate stop >/dev/null)
    rm -rf "$postgres_home"
  }
  # psycopg, createdb and so the README's commands take the port from here.
  PGPORT=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  export PGPORT
  (
    cd /
    "${as_postgres[@]}" "$postgres/initdb" -D "$postgres_home/data" -U shop -E UTF8 \
      --auth=scram-sha-256 --pwfile="$postgres_home/password" >/dev/null
    "${as_postgres[@]}" "$postgres/pg_ctl" -D "$postgres_home/data" -l "$postgres_home/log" -w \
      -o "-p $PGPORT -k $postgres_home -c listen_addresses=127.0.0.1" start >/dev/null
  )
  PGPASSWORD=secret "$postgres/createdb" -h 127.0.0.1 -U shop shop
  # The tests look for their password in all that is written, so it is a word of its own.
  PGPASSWORD=secret "$postgres/psql" -q -h 127.0.0.1 -U shop shop \
    -c "create role tester superuser login password 'correct-horse-41'"
  export RECEXP_TEST_POSTGRES_URL="postgresql+psycopg://tester:correct-horse-41@127.0.0.1:$PGPORT/postgres"
fi
