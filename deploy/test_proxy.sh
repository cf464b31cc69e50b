#!/usr/bin/env bash
# Tests deploy/nginx.conf, ae-studio.service and Caddyfile as far as the programs are there: syntax, and the studio behind nginx with a
# certificate made here. Needs nginx and openssl; systemd-analyze and caddy are used where they are.
#
#   deploy/test_proxy.sh target/release/ae
set -euo pipefail

ae=$(realpath "${1:?the program ae}")
deploy=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
place=$(mktemp -d)
studio=
cleanup() {
    local status=$?
    [[ -f $place/nginx.pid ]] && kill "$(cat "$place/nginx.pid")" 2>/dev/null
    [[ -n $studio ]] && kill "$studio" 2>/dev/null && wait "$studio"
    rm -rf "$place"
    exit "$status"
}
trap cleanup EXIT

if command -v systemd-analyze >/dev/null; then
    sed "s|/usr/local/bin/ae|$ae|" "$deploy/ae-studio.service" >"$place/ae-studio.service"
    systemd-analyze verify "$place/ae-studio.service"
    echo "ae-studio.service: systemd-analyze finds nothing"
fi
if command -v caddy >/dev/null; then
    caddy validate --adapter caddyfile --config "$deploy/Caddyfile"
fi

export AE_TOKEN=0123456789abcdef-proxy
cd "$place"
"$ae" serve --port 0 --gallery gallery >address 2>log &
studio=$!
until grep -q http address; do kill -0 "$studio"; sleep 0.1; done
port=$(sed -E 's|.*:([0-9]+)/.*|\1|' address)

# The file as it is, but for names, ports and the certificate.
openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost -keyout key.pem -out cert.pem 2>/dev/null
sed -e "s|studio.example|localhost|; s|/etc/ssl/studio/fullchain.pem|$place/cert.pem|; s|/etc/ssl/studio/privkey.pem|$place/key.pem|" \
    -e "s|listen 443|listen 17443|; s|listen 80|listen 17080|; /\\[::\\]/d; s|127.0.0.1:7860|127.0.0.1:$port|" \
    "$deploy/nginx.conf" >studio.conf
cat >nginx.conf <<CONF
pid $place/nginx.pid;
error_log $place/error.log;
events {}
http { access_log off; client_body_temp_path $place/body; proxy_temp_path $place/proxy; include $place/studio.conf; }
CONF
nginx -t -c "$place/nginx.conf"
nginx -c "$place/nginx.conf"

ask() { curl --silent --show-error --cacert cert.pem --header "Authorization: Bearer $AE_TOKEN" "$@"; }
address=https://localhost:17443
expect() { if [[ $1 != "$2" ]]; then echo "error: $3 is '$1', expected '$2'" >&2; exit 1; fi; }
expect "$(curl --silent --output /dev/null --write-out '%{http_code}' --cacert cert.pem "$address/api/info")" 401 "without a token"
expect "$(curl --silent --output /dev/null --write-out '%{http_code}' http://localhost:17080/)" 301 "plain HTTP"
# As the page sends it, and as one of another origin does.
draw() { ask --header 'Content-Type: application/json' --header "Origin: $1" --data '{"prompt": "a cat", "steps": 2}' "$address/api/generate"; }
job=$(draw "$address" | grep -o '"id":"[^"]*"' | head -1 | cut -d'"' -f4)
expect "$(draw https://evil.example | grep -c 'another origin')" 1 "another origin"
# Events up to the end of the job, through the proxy.
expect "$(ask --max-time 60 "$address/api/jobs/$job/events" | grep -c '"state":"done"')" 1 "the last event"
echo "nginx.conf: a picture was drawn through TLS"
