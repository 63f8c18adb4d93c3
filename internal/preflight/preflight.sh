#!/bin/sh
# Says which of the tools that `make test` needs is missing, and the line that installs it. Installs nothing.
missing=0
need() { # what, install line
	echo "missing: $1" >&2
	echo "  install it with: $2" >&2
	missing=1
}
go_line='see https://go.dev/doc/install (Go 1.26 or newer)'
command -v go >/dev/null 2>&1 || need 'go' "$go_line"
if [ "$(uname)" = Darwin ]; then cc_line='xcode-select --install' py_line='brew install python3' node_line='brew install node'; else cc_line='sudo apt-get install -y gcc libc6-dev' py_line='sudo apt-get install -y python3 python3-venv' node_line='see https://nodejs.org/en/download (Node 20 or newer, with npm)'; fi
command -v "$(go env CC 2>/dev/null || echo cc)" >/dev/null 2>&1 || need 'a C compiler (the race detector links with it)' "$cc_line"
if ! command -v python3 >/dev/null 2>&1; then
	need 'python3' "$py_line"
elif ! python3 -c 'import venv, ensurepip' >/dev/null 2>&1; then
	need 'the venv module of python3' "$py_line"
fi
command -v node >/dev/null 2>&1 && command -v npm >/dev/null 2>&1 || need 'node and npm (the AWS SDK for JavaScript is one of the clients that are tested)' "$node_line"
exit $missing
