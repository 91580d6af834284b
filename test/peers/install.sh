#!/bin/bash
# Installs the Debian packages of the peers that the tests call, when they are missing. Where that cannot be done
# (not root, not Debian, no network) it says loudly what will not be tested, and exits with 1.
set -u
declare -A package=(
  [sipp]=sip-tester [kamailio]=kamailio [baresip]=baresip-core [tshark]=tshark
  [chromium]=chromium [openssl]=openssl [linphonec]=linphone-cli
  [redis-server]=redis-server [rtpengine]=rtpengine-daemon
)
declare -A file=(
  [/usr/lib/x86_64-linux-gnu/kamailio/modules/tls.so]=kamailio-tls-modules
  [/usr/lib/x86_64-linux-gnu/kamailio/modules/websocket.so]=kamailio-websocket-modules
  [/usr/lib/x86_64-linux-gnu/kamailio/modules/outbound.so]=kamailio-outbound-modules
)
missing=()
for program in "${!package[@]}"; do
  command -v "$program" >/dev/null 2>&1 || missing+=("${package[$program]}")
done
for path in "${!file[@]}"; do
  # Other architectures keep the modules elsewhere; ask the package manager there.
  [ -e "$path" ] || dpkg -s "${file[$path]}" >/dev/null 2>&1 || missing+=("${file[$path]}")
done
[ ${#missing[@]} -eq 0 ] && exit 0

echo "PEERS: missing: ${missing[*]}"
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
  echo "PEERS: NOT INSTALLED (needs root on a Debian system). Tests against them will be skipped and counted."
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get -o DPkg::Lock::Timeout=400 update -qq || true
apt-get -o DPkg::Lock::Timeout=400 install -y -qq --no-install-recommends "${missing[@]}" fonts-dejavu-core >/tmp/sip-peers-install.log 2>&1
status=$?
if [ $status -ne 0 ]; then
  echo "PEERS: apt-get failed with $status:"
  tail -5 /tmp/sip-peers-install.log
  exit 1
fi
# Services of the packages are not wanted: the tests start their own, on loopback.
for service in kamailio redis-server rtpengine-daemon; do
  command -v systemctl >/dev/null 2>&1 && systemctl disable --now "$service" >/dev/null 2>&1
done
exit 0
