# Set-up, build, test, demonstration and installation. `make help` lists the targets.

PREFIX ?= /usr/local
SYSCONFDIR ?= $(if $(filter /usr,$(PREFIX)),/etc,$(PREFIX)/etc)
DESTDIR ?=
# Where the built programs are; a cross build names its own directory and runs only `make install`.
BINARIES ?= target/release
CARGO ?= cargo
INSTALL ?= install

BINDIR = $(DESTDIR)$(PREFIX)/bin
LIBEXECDIR = $(DESTDIR)$(PREFIX)/libexec/softwarecontainer
DATADIR = $(DESTDIR)$(PREFIX)/share/softwarecontainer
COMPLETIONDIR = $(DESTDIR)$(PREFIX)/share/bash-completion/completions
ZSHDIR = $(DESTDIR)$(PREFIX)/share/zsh/site-functions
FISHDIR = $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d
MANDIR = $(DESTDIR)$(PREFIX)/share/man
UNITDIR ?= $(PREFIX)/lib/systemd/system
PRESETDIR ?= $(PREFIX)/lib/systemd/system-preset
SYSUSERSDIR ?= $(PREFIX)/lib/sysusers.d
MODULESLOADDIR ?= $(PREFIX)/lib/modules-load.d
NETWORKDIR ?= $(PREFIX)/lib/systemd/network
ACTIVATIONDIR ?= $(PREFIX)/share/dbus-1/system-services
INTERFACEDIR ?= $(PREFIX)/share/dbus-1/interfaces
WIREPLUMBERDIR ?= $(PREFIX)/share/wireplumber
# dbus-daemon reads policies below /usr and /etc only.
POLICYDIR ?= $(if $(filter /usr,$(PREFIX)),/usr/share,/etc)/dbus-1/system.d
# The parser reads profiles below /etc only.
APPARMORDIR ?= /etc/apparmor.d
CONFDIR = $(SYSCONFDIR)/softwarecontainer

export SOFTWARECONTAINER_PREFIX = $(PREFIX)
export SOFTWARECONTAINER_SYSCONFDIR = $(SYSCONFDIR)

build: ## Build the programs in target/release for PREFIX
	$(CARGO) build --release --workspace

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' $(MAKEFILE_LIST) | expand -t 20

setup: ## Install what building and testing need (Debian, as root)
	scripts/setup-debian.sh

demo: setup ## Install, build, and show a launcher's whole sequence on a real container
	$(CARGO) build --workspace
	scripts/demo

test: setup ## Install, build, and run every test
	scripts/test

test-unprivileged: ## Build, and run the tests that need no root and change nothing on this machine
	scripts/test --unprivileged

lint: ## Format, clippy, shellcheck and the files' own checks
	scripts/lint

check: lint test ## Everything but the boot test

yocto-check: ## Check the Yocto layer, and build it where TREES has OpenEmbedded's
	TREES='$(TREES)' OE_CORE='$(OE_CORE)' BITBAKE='$(BITBAKE)' META_OE='$(META_OE)' META_VIRTUALIZATION='$(META_VIRTUALIZATION)' \
		META_RUST_BIN='$(META_RUST_BIN)' yocto-check/run

msrv: ## Check that the oldest Rust that Cargo.toml promises builds everything
	scripts/check-msrv

coverage: setup ## Say which lines the tests run (needs cargo-llvm-cov)
	scripts/coverage

hooks: ## Have git run the quick checks before each commit
	git config core.hooksPath scripts/hooks

bench: setup ## Measure speed and size
	$(CARGO) build --release --workspace
	scripts/bench

# Substitutes the installation's paths in what systemd and D-Bus read.
define place
	$(INSTALL) -d $(dir $(DESTDIR)$(3))
	sed -e 's|@PREFIX@|$(PREFIX)|g' -e 's|@SYSCONFDIR@|$(SYSCONFDIR)|g' $(2) > $(DESTDIR)$(3)
	chmod $(1) $(DESTDIR)$(3)
endef

install: install-programs install-configuration install-systemd install-apparmor install-man install-manifests install-completions install-launcher ## Install everything that was built

install-programs:
	$(INSTALL) -d $(BINDIR) $(LIBEXECDIR) $(DATADIR) $(DESTDIR)$(INTERFACEDIR)
	$(INSTALL) -m 755 $(BINARIES)/softwarecontainer-agent $(BINARIES)/softwarecontainerctl \
		$(BINARIES)/softwarecontainer-validate $(BINDIR)
	$(INSTALL) -m 755 $(BINARIES)/softwarecontainer-init $(BINARIES)/softwarecontainer-dbus-proxy \
		$(BINARIES)/softwarecontainer-security-context $(LIBEXECDIR)
	$(INSTALL) -m 644 manifests/schema.json $(DATADIR)
	$(INSTALL) -d $(DATADIR)/manifests
	$(INSTALL) -m 644 manifests/examples/*.json $(DATADIR)/manifests
	if [ -f agent/seccomp/softwarecontainer.seccomp ]; then \
		$(INSTALL) -m 644 agent/seccomp/softwarecontainer.seccomp $(DATADIR)/seccomp.profile; fi
	$(INSTALL) -m 644 agent/seccomp/softwarecontainer.calls $(DATADIR)/seccomp.calls
	$(INSTALL) -m 644 agent/dbus/*.xml $(DESTDIR)$(INTERFACEDIR)
	$(INSTALL) -d $(DESTDIR)$(WIREPLUMBERDIR)/wireplumber.conf.d $(DESTDIR)$(WIREPLUMBERDIR)/scripts/softwarecontainer
	$(INSTALL) -m 644 wireplumber/softwarecontainer.conf $(DESTDIR)$(WIREPLUMBERDIR)/wireplumber.conf.d
	$(INSTALL) -m 644 wireplumber/access.lua $(DESTDIR)$(WIREPLUMBERDIR)/scripts/softwarecontainer

install-configuration:
	$(INSTALL) -d $(DESTDIR)$(CONFDIR)/service-manifest.d $(DESTDIR)$(CONFDIR)/service-manifest.default.d
	$(call place,644,systemd/softwarecontainer-config,$(CONFDIR)/softwarecontainer-config)
	$(INSTALL) -m 644 systemd/softwarecontainer.conf $(DESTDIR)$(CONFDIR)
	$(INSTALL) -m 644 manifests/default/*.json $(DESTDIR)$(CONFDIR)/service-manifest.default.d

install-systemd:
	$(call place,644,systemd/softwarecontainer-agent.service,$(UNITDIR)/softwarecontainer-agent.service)
	$(INSTALL) -m 644 systemd/softwarecontainer.slice systemd/softwarecontainer-containers.service \
		systemd/softwarecontainer-apparmor.service $(DESTDIR)$(UNITDIR)
	$(call place,644,systemd/90-softwarecontainer.preset,$(PRESETDIR)/90-softwarecontainer.preset)
	$(call place,644,systemd/softwarecontainer.sysusers,$(SYSUSERSDIR)/softwarecontainer.conf)
	$(call place,644,systemd/softwarecontainer.modules,$(MODULESLOADDIR)/softwarecontainer.conf)
	$(call place,644,systemd/com.pelagicore.SoftwareContainerAgent.conf,$(POLICYDIR)/com.pelagicore.SoftwareContainerAgent.conf)
	$(call place,644,systemd/com.pelagicore.SoftwareContainerAgent.service,$(ACTIVATIONDIR)/com.pelagicore.SoftwareContainerAgent.service)
	$(call place,644,systemd/softwarecontainer-containers.network,$(NETWORKDIR)/10-softwarecontainer-containers.network)
	$(INSTALL) -d $(DATADIR)/networkd
	$(INSTALL) -m 644 systemd/softwarecontainer-bridge.netdev systemd/softwarecontainer-bridge.network $(DATADIR)/networkd

install-apparmor:
	$(INSTALL) -d $(DESTDIR)$(APPARMORDIR)
	$(INSTALL) -m 644 apparmor/softwarecontainer-app $(DESTDIR)$(APPARMORDIR)

# Manual pages are optional on a target: without scdoc they are left out.
install-man:
	if command -v scdoc > /dev/null; then for page in man/*.scd; do \
		name=$$(basename $$page .scd); section=$${name##*.}; \
		$(INSTALL) -d $(MANDIR)/man$$section; \
		scdoc < $$page > $(MANDIR)/man$$section/$$name || exit 1; done; fi

# For integrators to choose from; nothing here is read by the agent.
install-manifests:
	$(INSTALL) -d $(DATADIR)/manifests/optional
	$(INSTALL) -m 644 manifests/optional/*.json $(DATADIR)/manifests/optional

install-completions:
	$(INSTALL) -d $(COMPLETIONDIR)
	$(INSTALL) -m 644 completions/softwarecontainer.bash $(COMPLETIONDIR)/softwarecontainer-agent
	for program in -validate -launcher ctl; do ln -sf softwarecontainer-agent $(COMPLETIONDIR)/softwarecontainer$$program; done
	$(INSTALL) -D -m 644 completions/softwarecontainerctl.zsh $(ZSHDIR)/_softwarecontainerctl
	$(INSTALL) -D -m 644 completions/softwarecontainerctl.fish $(FISHDIR)/softwarecontainerctl.fish

# The example; it looks for its apps in /etc, whatever the prefix.
install-launcher:
	$(MAKE) -C examples/launcher install BINARIES='$(abspath $(BINARIES))' DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' SYSCONFDIR=/etc

-include qemu-test/Makefile.inc

.PHONY: build help setup demo test test-unprivileged lint check yocto-check msrv coverage hooks bench install install-programs install-configuration install-systemd install-apparmor install-man install-manifests install-completions install-launcher
