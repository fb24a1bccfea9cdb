# The developers' menu: `make help`.
PYTHON ?= python3
PORT ?= 8000
INTO ?= /tmp/mms-screenshots
BIN := .venv/bin
.DEFAULT_GOAL := help
# Whether it is set or not: the tests start many processes, and each would compile everything anew.
unexport PYTHONDONTWRITEBYTECODE
.PHONY: help install hooks run test nightly soak soak-mail soak-kills soak-made-anew soak-undo campaign campaign-previews campaign-rollouts campaign-chat campaign-large lint format docs site pictures styles baselines screenshots sentences bench browser test-browser test-servers test-matrix test-machines clean

help: ## Show this menu
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 16

.venv/installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("MMS needs Python 3.11 or newer: choose one with PYTHON=." if sys.version_info < (3, 11) else 0)'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

install: .venv/installed ## Install the project into .venv

hooks: .venv/installed ## Check every commit before it is made (.pre-commit-config.yaml)
	@$(BIN)/prek install

run: .venv/installed ## Start everything on http://127.0.0.1:8000 (PORT=, ONCE=1 stops when all is migrated, MAILBOXES=caldav on a Radicale)
	@$(BIN)/python manage.py migrate --verbosity 0
	@$(BIN)/python manage.py load_demo --if-empty $(if $(MAILBOXES),--mailboxes $(MAILBOXES))
	@$(BIN)/python manage.py serve $(if $(ONCE),--once,--port $(PORT))

test: .venv/installed ## Run the whole test suite (MMS_TEST_DATABASE_URL= names a PostgreSQL server)
	@$(BIN)/python -m pytest -n auto --dist worksteal -m "not browser and not servers and not matrix and not machines" $(ARGS)

nightly: .venv/installed ## Run the property tests with 10,000 random examples each (what fails becomes a file in tests/catalogue), all that the suite takes samples of, a real Synapse, and several machines
	@MMS_HYPOTHESIS_PROFILE=nightly $(BIN)/python -m pytest -n auto tests/rewriting/test_properties.py tests/rewriting/test_facts.py tests/rewriting/test_hostile_input.py tests/mail/test_headers.py \
		tests/site/test_garbage_in_addresses.py tests/site/test_settings.py tests/mailboxes/test_writing_outside.py tests/demo $(ARGS)
	@$(MAKE) test-matrix
	@$(MAKE) test-machines

soak-mail: .venv/installed ## Run the service beside slow, silent and absent mail servers, at full size (ARGS="--case --seed --results")
	@$(BIN)/python -m tests.campaigns.mail $(ARGS)

soak: .venv/installed ## Run the tests of cluster and concurrency 50 times beside a busy loop (ARGS="--count --seed --results"; goes on where it was)
	@$(BIN)/python -m tests.campaigns.soak $(ARGS)

soak-kills: .venv/installed ## Kill each process of the service 20 times, idle and busy, and measure how it heals (ARGS="--times --seed --results")
	@$(BIN)/python -m tests.campaigns.kills $(ARGS)

soak-made-anew: .venv/installed ## Kill the worker 50 times at random points while meetings are made anew (ARGS="--count --seed --results")
	@$(BIN)/python -m tests.campaigns.made_anew $(ARGS)

soak-undo: .venv/installed ## Kill the worker 50 times at random points while runs are undone (ARGS="--count --seed --results")
	@$(BIN)/python -m tests.campaigns.undone $(ARGS)

campaign: .venv/installed ## Move users between bridges on a real mail server while requests fail and workers are killed (ARGS="--count --seed --results --server radicale|cyrus|graph|exchange|teams")
	@$(BIN)/python -m tests.campaigns.outside $(ARGS)

campaign-previews: .venv/installed ## Compare previews of 500 generated organizations, and of the demo, with what then happens (ARGS="--count --seed --results")
	@$(BIN)/python -m tests.campaigns.previews $(ARGS)

campaign-rollouts: .venv/installed ## Kill the worker 50 times at random points while the members of waves move (ARGS="--count --seed --results")
	@$(BIN)/python -m tests.campaigns.rollouts $(ARGS)

campaign-chat: .venv/installed ## Kill the worker 50 times at random points while persistent chat of 200 rooms and 100,000 messages moves (ARGS="--count --seed --rooms --messages --into archive|matrix --results")
	@$(BIN)/python -m tests.campaigns.chat $(ARGS)

campaign-large: .venv/installed ## Move 10,000 users with 200,000 meetings on a real cluster: speed, memory, disk, and each meeting once (ARGS="--users --meetings --workers --kill-every --seed --results")
	@$(BIN)/python -m tests.campaigns.large $(ARGS)

lint: .venv/installed ## Check style, security rules, types, who imports whom, and declared dependencies
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/djhtml --check templates
	@$(BIN)/mypy .
	@$(BIN)/lint-imports --no-logo --no-cache
	@$(BIN)/deptry .

format: .venv/installed ## Put code and templates in the project's format
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .
	@$(BIN)/djhtml templates

docs: .venv/installed ## Write the pages of docs/ that follow from the code (what starts a run; commands, settings and codes)
	@$(BIN)/python manage.py write_documentation

site: .venv/installed ## Make docs/ a site in var/site (mkdocs.yml); a link that leads nowhere fails
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,docs]'
	@$(BIN)/python -m mkdocs build --strict

pictures: browser ## Take the pictures of the guides from the demo, in each language (ARGS="--language es --into FOLDER")
	@$(BIN)/python -m tests.support.guide_pictures $(ARGS)

styles: .venv/installed ## Write the part of Tabler's stylesheet that the pages use (static/vendor/tabler/tabler.css)
	@$(BIN)/python -m tests.support.tabler

baselines: .venv/installed ## Write what pages weigh and how many questions they ask (tests/baselines/pages.json)
	@MMS_RENEW_BASELINES=1 $(BIN)/python -m pytest -q -n 0 tests/screens/test_every_page.py -k unseen

screenshots: browser ## Leave pictures of every page, 1280 and 390 pixels wide, in both colours (INTO= a folder; /tmp/mms-screenshots)
	@mkdir -p $(INTO)
	@MMS_SCREENSHOTS=$(abspath $(INTO)) $(BIN)/python -m pytest -q -n auto -m browser tests/browser/test_every_page.py -k shuts_nobody_out

sentences: .venv/installed ## Collect what the pages say for translators, and compile what they wrote (mms_site/locale; needs gettext)
	@DJANGO_SETTINGS_MODULE=mms_site.settings $(BIN)/python -m tests.support.sentences
	@for language in mms_site/locale/*/LC_MESSAGES mms_site/sentences_of_django/*/LC_MESSAGES; do msgfmt --check-format --output-file $$language/django.mo $$language/django.po; done

bench: .venv/installed ## Print meetings per second beside a named baseline (ARGS=help lists the sections that can be run alone)
	@$(BIN)/python -m tests.bench $(ARGS)

browser: .venv/installed ## Install what the browser tests need (a system Chromium must be there)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,browser]'

test-browser: browser ## Run the tests that drive a real browser
	@$(BIN)/python -m pytest -m browser $(ARGS)

test-servers: .venv/installed ## Run the tests that need real programs: Cyrus, Kamailio, PostgreSQL, nginx, Caddy (their Debian packages must be there)
	@$(BIN)/python -m tests.support.cyrus_server
	@$(BIN)/python -m pytest -m servers tests/mailboxes $(ARGS)
	@$(BIN)/python -m pytest -m servers tests/rollouts $(ARGS)
	@$(BIN)/python -m pytest -m servers -n 2 tests/operating $(ARGS)

test-matrix: .venv/installed ## Run the tests against a real Synapse, a Matrix homeserver (242 MB from PyPI, in /tmp/mms-synapse-UID; no dependency of MMS)
	@$(BIN)/python -m tests.support.synapse_server
	@$(BIN)/python -m pytest -m matrix tests/chat/targets $(ARGS)

test-machines: .venv/installed ## Run the service on five machines in network namespaces, of which one after the other fails, and print what happens (as root, with iproute2, libfaketime, PostgreSQL and Redis)
	@$(BIN)/python -m pytest -m machines -n 0 -s tests/operating $(ARGS)

clean: ## Remove what was installed and made, data included
	rm -rf .venv var .mypy_cache .ruff_cache .pytest_cache
