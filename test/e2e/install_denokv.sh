#!/usr/bin/env bash
# Build the server of Deno KV that tests run beside firn, from crates.io.
#   install_denokv.sh [FOLDER]      ~/.cache/firn/bin when left out; prints its path
#
# Needs cargo and a C compiler (SQLite comes with it). The version is pinned, and what is there in its version is used again.
# Built for the shortest build: nothing is optimised but SQLite.
set -euo pipefail
version=0.14.0
folder=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/firn/bin}
mark="$folder/.denokv-$version"
mkdir -p "$folder"

if [ -x "$folder/denokv" ] && [ -e "$mark" ]; then
  echo "$folder/denokv"
  exit
fi
for tool in cargo cc; do
  command -v "$tool" >/dev/null && continue
  echo "Cannot build denokv: there is no $tool; install Debian's cargo-web and gcc, or rustup's cargo" >&2
  exit 1
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
started=$SECONDS
echo "building denokv $version" >&2
export CARGO_PROFILE_DEV_DEBUG=0 CARGO_PROFILE_DEV_INCREMENTAL=false CARGO_PROFILE_DEV_CODEGEN_UNITS=64
cargo install denokv --version "$version" --locked --debug --quiet --root "$work" --target-dir "$work/target" \
  --config 'profile.dev.package.libsqlite3-sys.opt-level=2'
rm -f "$folder/denokv" "$folder/.denokv-"*
mv "$work/bin/denokv" "$folder/denokv"
touch "$mark"
echo "building denokv $version: $((SECONDS - started)) s" >&2
echo "$folder/denokv"
