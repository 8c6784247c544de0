#!/bin/sh
# Installs what building and testing need on Debian; does nothing where all of it is there.
set -eu

# Building: liblxc and libseccomp.
build="lxc lxc-dev libseccomp-dev pkg-config gcc libc6-dev make git"
# Running: containers, network, bus.
run="busybox-static dbus dbus-daemon iptables iproute2 procps psmisc"
# Testing.
test="libglib2.0-bin iputils-ping netcat-openbsd python3 strace shellcheck scdoc systemd kmod"

missing=
for package in $build $run $test $(grep -hv '^#' "$(dirname "$0")"/packages.d/*.txt 2> /dev/null || :); do
	dpkg-query -W -f '${db:Status-Status}' "$package" 2> /dev/null | grep -qx installed || missing="$missing $package"
done
if [ -n "$missing" ]; then
	echo "installing:$missing"
	[ "$(id -u)" = 0 ] || { echo "run as root, or install them yourself" >&2; exit 1; }
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -qq
	# Releases differ in what they have (Ubuntu has Chromium as a snap only). What only tests need may be missing: they say so.
	for package in $missing; do
		apt-cache policy "$package" | grep -q '^  Candidate: [^(]' && continue
		case " $build $run $test " in
		*" $package "*) ;;
		*)
			echo "not to be had here: $package; the tests that need it are reported as not run" >&2
			# shellcheck disable=SC2086 # a list of names
			missing=$(printf '%s\n' $missing | grep -vxF -e "$package")
			;;
		esac
	done
	# Without recommended packages: uidmap among them would make liblxc need entries for root in /etc/subuid.
	# shellcheck disable=SC2086 # a list of names
	apt-get install -y -qq --no-install-recommends $missing > /dev/null
fi

command -v cargo > /dev/null || { echo "Rust is missing: cargo 1.89 or newer is needed" >&2; exit 1; }
