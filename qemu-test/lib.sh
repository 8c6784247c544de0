# shellcheck shell=bash
# Names are set here and used by the scripts that source this; apt expands its own $(…).
# shellcheck disable=SC2034,SC2016
# What the scripts of qemu-test share: places, the content-keyed cache, and this machine's package sources.
# Sourced with $0 in qemu-test/; sets top, here, cache, arch and the names that follow from arch.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(dirname "$here")
cache=${SOFTWARECONTAINER_CACHE:-$top/.cache}/qemu-test
arch=${ARCH:-arm64}
# The guest's Debian release; the host's package configuration must know where to get it.
release=${RELEASE:-bookworm}

case $arch in
arm64)
	triple=aarch64-unknown-linux-gnu
	gnu=aarch64-linux-gnu
	kernel_package=linux-image-cloud-arm64
	;;
armhf)
	triple=armv7-unknown-linux-gnueabihf
	gnu=arm-linux-gnueabihf
	kernel_package=linux-image-armmp
	;;
*)
	echo "ARCH=$arch: only arm64 and armhf are known" >&2
	exit 2
	;;
esac

say() {
	printf 'qemu-test: %s\n' "$*" >&2
}

die() {
	say "$*"
	exit 1
}

# Prints a key made of its arguments and of the contents of the files named after `--`.
key_of() {
	local words=()
	while [ $# -gt 0 ] && [ "$1" != -- ]; do
		words+=("$1")
		shift
	done
	[ $# -eq 0 ] || shift
	{
		printf '%s\n' "${words[@]}"
		[ $# -eq 0 ] || sha256sum "$@" | cut -d' ' -f1
	} | sha256sum | cut -c1-20
}

# What this machine's apt knows of the release: `deb` lines for mmdebstrap. The mirrors are the machine's choice.
debian_sources() {
	local lines
	lines=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(COMPONENT)' \
		'Created-By: Packages' 'Origin: Debian' | sort -u |
		grep -E " $release(-updates|-security)? main$") ||
		die "apt knows no Debian $release here: add it to the sources and run apt-get update"
	printf '%s\n' "$lines" | sed 's,^,deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ,'
}

# The machine's own way to the mirrors (proxies, time checks) for an apt that does not read /etc/apt.
apt_options() {
	apt-config dump Acquire | grep -E '^Acquire::(http|https|ftp|Retries|Check-Date|Check-Valid-Until)[: ]' |
		grep -v ' "";$' || true
}

# Identifies the state of the archive as this machine last saw it, so that a cached tree ages with apt-get update.
archive_state() {
	apt-get indextargets --format '$(CODENAME) $(FILENAME)' 'Created-By: Packages' 'Origin: Debian' |
		grep "^$release" | while read -r _ file; do
		sha256sum "$file" 2>/dev/null || sha256sum "${file%/*}/$(basename "$file")".* 2>/dev/null || true
	done | cut -d' ' -f1 | sort
}

# Keeps the cache from growing without end: of the entries matching the glob only the newest two stay.
prune() {
	local old
	# Names are keys made by us, without white space.
	# shellcheck disable=SC2012,SC2086
	ls -1dt "$cache"/$1 2>/dev/null | tail -n +3 | while read -r old; do
		rm -rf --one-file-system "$old"
	done
}
