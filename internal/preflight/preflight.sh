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
if [ "$(uname)" = Darwin ]; then cc_line='xcode-select --install' java_line='brew install openjdk maven' py_line='brew install python3' node_line='brew install node' chromium_line='brew install --cask chromium'; else cc_line='sudo apt-get install -y gcc libc6-dev' java_line='sudo apt-get install -y default-jdk-headless maven' py_line='sudo apt-get install -y python3 python3-venv' node_line='see https://nodejs.org/en/download (Node 20 or newer, with npm)' chromium_line='sudo apt-get install -y chromium'; fi
command -v "$(go env CC 2>/dev/null || echo cc)" >/dev/null 2>&1 || need 'a C compiler (the race detector links with it)' "$cc_line"
if ! command -v python3 >/dev/null 2>&1; then
	need 'python3' "$py_line"
elif ! python3 -c 'import venv, ensurepip' >/dev/null 2>&1; then
	need 'the venv module of python3' "$py_line"
fi
command -v node >/dev/null 2>&1 && command -v npm >/dev/null 2>&1 || need 'node and npm (the AWS SDK for JavaScript is one of the clients that are tested)' "$node_line"
command -v javac >/dev/null 2>&1 && command -v mvn >/dev/null 2>&1 || need 'javac and mvn, Java 17 or newer (the AWS SDK for Java and the Kinesis Client Library are clients that are tested)' "$java_line"
browser=
for name in chromium chromium-browser google-chrome google-chrome-stable '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome' /Applications/Chromium.app/Contents/MacOS/Chromium; do
	command -v "$name" >/dev/null 2>&1 && browser=$name
done
[ -n "$browser" ] || need 'chromium (what a web page can send is tried with a real browser)' "$chromium_line"
exit $missing
