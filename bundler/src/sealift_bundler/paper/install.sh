#!/bin/sh
# Installs unseal from this bundle into an environment of its own. Nothing is fetched.
# Check the bundle first: see VERIFY.txt.
#
#   sh install.sh [DIRECTORY]      PYTHON names another interpreter than python3.
set -eu

bundle=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
place=${1:-${XDG_DATA_HOME:-$HOME/.local/share}/sealift/unseal}
python=${PYTHON:-python3}

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "unseal needs Python 3.11 or newer: name one, PYTHON=/path/to/python sh install.sh" >&2
    exit 6
fi
"$python" -m venv "$place"
"$place/bin/python" -m pip --isolated --disable-pip-version-check install --quiet \
    --no-index --require-hashes --find-links "$bundle/unseal/wheels" \
    --requirement "$bundle/unseal/requirements.txt"

echo "unseal is here: $place/bin/unseal"
echo "Next, with the SHA-256 that came to you by another way than this bundle:"
echo "  '$place/bin/unseal' trust import '$bundle/trust/root/1.root.dsse.json' --sha256 HEX"
echo "  '$place/bin/unseal' install '$bundle'"
