#!/usr/bin/env bash
# Unpack the nix of a newer Debian suite into a folder of its own, to test against a second version of nix.
#   install_nix.sh [SUITE] [FOLDER]      trixie and ~/.cache/firn/nix-SUITE when left out; prints the path of its nix
#
# Nothing of the machine changes: apt gets private lists and an empty list of installed packages, so that it downloads nix with
# everything it needs, libc included; the packages are only unpacked; nix is started through the unpacked loader. The mirror is
# the one this machine's apt already uses. A folder that is complete is used again.
set -euo pipefail
suite=${1:-trixie}
folder=${2:-${XDG_CACHE_HOME:-$HOME/.cache}/firn/nix-$suite}

if [ -x "$folder/bin/nix" ] && "$folder/bin/nix" --version >/dev/null 2>&1; then
  echo "$folder/bin/nix"
  exit 0
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{lists/partial,archives/partial,nothing,root}

# The line of the release this machine runs; its siblings (-updates, -security) have other names.
codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
mirror=$(apt-get indextargets --format '$(CREATED_BY) $(RELEASE) $(COMPONENT) $(REPO_URI)' |
  awk -v release="$codename" '$1 == "Packages" && $2 == release && $3 == "main" { print $4; exit }')
if [ -z "$mirror" ]; then
  echo "Cannot unpack a newer nix: apt has no source for $codename main; add one to its sources" >&2
  exit 1
fi
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" > "$work/sources.list"
touch "$work/status"

cat > "$work/apt.conf" <<CONF
Dir::State "$work";
Dir::State::lists "$work/lists";
Dir::State::status "$work/status";
Dir::Cache "$work";
Dir::Cache::archives "$work/archives";
Dir::Etc::sourcelist "$work/sources.list";
Dir::Etc::sourceparts "$work/nothing";
Dir::Etc::preferencesparts "$work/nothing";
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "3";
CONF
export APT_CONFIG="$work/apt.conf"

apt-get update -qq >&2
apt-get install -qq --yes --download-only nix-bin >&2
for package in "$work"/archives/*.deb; do dpkg-deb --extract "$package" "$work/root"; done

loader=$(cd "$work/root" && find . -name 'ld-linux*.so.*' | head -n 1)
triplet=$(cd "$work/root/usr/lib" && find . -maxdepth 1 -name '*-linux-gnu*' -printf '%f\n' | head -n 1)
if [ -z "$loader" ] || [ ! -e "$work/root/usr/bin/nix" ]; then
  echo "Cannot unpack a newer nix: the packages of $suite hold no loader or no nix" >&2
  exit 1
fi
mkdir -p "$work/root/bin"
# nix chooses its command by the name it was started as: nix-store is nix under another name.
for name in nix nix-build nix-store; do
  cat > "$work/root/bin/$name" <<WRAPPER
#!/bin/sh
exec "$folder/$loader" --argv0 "$name" \\
  --library-path "$folder/usr/lib/$triplet:$folder/lib/$triplet" "$folder/usr/bin/nix" "\$@"
WRAPPER
  chmod +x "$work/root/bin/$name"
done

rm -rf "$folder"
mkdir -p "$(dirname "$folder")"
mv "$work/root" "$folder"
"$folder/bin/nix" --version >&2
echo "$folder/bin/nix"
