#!/bin/sh
# Compiles spec/cryo.ksy to Python and fetches what runs it, into DIR (target/ksy); a second run does nothing.
# Needs node, npm, python3 and pip. Usage: spec/ksy/setup.sh DIR
set -eu
dir=$1
spec=$(cd "$(dirname "$0")/.." && pwd)
for tool in node npm python3; do
    command -v "$tool" >/dev/null || { echo "$tool is missing: apt-get install nodejs npm python3 python3-pip" >&2; exit 2; }
done
mkdir -p "$dir/python"
if [ ! -e "$dir/node_modules/kaitai-struct-compiler" ] || [ ! -e "$dir/node_modules/js-yaml" ]; then
    npm install --loglevel=error --no-fund --no-audit --prefix "$dir" kaitai-struct-compiler@0.11.0 js-yaml@4 >&2
fi
if ! PYTHONPATH="$dir/python" python3 -c 'import kaitaistruct, blake3, crc32c, zstandard' 2>/dev/null; then
    python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --upgrade --target "$dir/python" \
        kaitaistruct==0.11 blake3 crc32c zstandard >&2
fi
NODE_PATH="$dir/node_modules" node "$spec/ksy/compile.js" "$spec/cryo.ksy" "$dir/python"
