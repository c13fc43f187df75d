.PHONY: start test check fix

start: ; @bin/start
test: ; @bin/test
check: ; @bin/check
fix: ; @bin/check --fix
