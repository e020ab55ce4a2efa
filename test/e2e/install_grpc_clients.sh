#!/usr/bin/env bash
# Build the gRPC and HTTP/2 clients that tests run beside the server, from the Go module proxy: evans, grpcurl and h2spec.
#   install_grpc_clients.sh [FOLDER]      ~/.cache/firn/bin when left out; prints the path of each
#
# Needs go, and nothing else: no git, no clones. Versions are pinned, and what is there in its version is used again.
set -euo pipefail
folder=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/firn/bin}
mkdir -p "$folder"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# build NAME VERSION MODULE PACKAGE [REQUIRED]
# In a module of its own, because `go install PACKAGE@VERSION` refuses modules that replace others, as evans does.
# REQUIRED pins what the module itself does not.
build() {
  local name=$1 version=$2 module=$3 package=$4 required=${5:-} started=$SECONDS
  local mark="$folder/.$name-$version"
  if [ -x "$folder/$name" ] && [ -e "$mark" ]; then
    echo "$folder/$name"
    return
  fi
  if ! command -v go >/dev/null; then
    echo "Cannot build $name: there is no go; install Debian's golang-go, or go.dev's" >&2
    exit 1
  fi
  echo "building $name $version" >&2
  mkdir "$work/$name"
  printf 'module clients\n\ngo 1.24\n\nrequire (\n%s %s\n%s)\n' "$module" "$version" "$required" > "$work/$name/go.mod"
  printf '//go:build tools\n\npackage clients\n\nimport _ "%s"\n' "$package" > "$work/$name/clients.go"
  (cd "$work/$name" && GOFLAGS=-mod=mod go build -trimpath -ldflags=-s -o "$work/$name/built" "$package")
  rm -f "$folder/.$name-"*
  mv "$work/$name/built" "$folder/$name"
  touch "$mark"
  echo "building $name $version: $((SECONDS - started)) s" >&2
  echo "$folder/$name"
}

# The newest h2spec that the proxy has; it is older than modules.
build h2spec v2.2.1+incompatible github.com/summerwind/h2spec github.com/summerwind/h2spec/cmd/h2spec \
  $'golang.org/x/net v0.46.0\ngithub.com/spf13/cobra v1.10.2\ngithub.com/fatih/color v1.19.0\n'
build grpcurl v1.9.3 github.com/fullstorydev/grpcurl github.com/fullstorydev/grpcurl/cmd/grpcurl
build evans v0.10.11 github.com/ktr0731/evans github.com/ktr0731/evans
