# shellcheck shell=bash
# Names are set here and used by the scripts that source this; apt expands its own $(…).
# shellcheck disable=SC2034,SC2016
# What the scripts of qemu-test share: places, the content-keyed cache, and this machine's package sources.
# Sourced with $0 in qemu-test/; sets top, here, cache, arch and the names that follow from arch.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(dirname "$here")
cache=${SOFTWARECONTAINER_CACHE:-$top/.cache}/qemu-test
arch=${ARCH:-arm64}

case $arch in
arm64)
	triple=aarch64-unknown-linux-gnu
	gnu=aarch64-linux-gnu
	kernel_package=linux-image-cloud-arm64
	build_release=bookworm
	;;
armhf)
	triple=armv7-unknown-linux-gnueabihf
	gnu=arm-linux-gnueabihf
	kernel_package=linux-image-armmp
	# bookworm has a Rust that is new enough in its security archive only, which has been inconsistent for armhf.
	build_release=trixie
	;;
*)
	echo "ARCH=$arch: only arm64 and armhf are known" >&2
	exit 2
	;;
esac
# The guest's Debian release, and the one that its kernel is from. What is built in $build_release runs there and on later ones.
release=${RELEASE:-$build_release}
kernel_release=${KERNEL:-$release}
# The release that the guest's LXC is from; an older one may run on the libraries of $release.
lxc_release=${LXC:-$release}
# linux-image-arm64 has the drivers of a desktop, too: vgem, vivid, uinput, snd-aloop.
kernel_package=${KERNEL_PACKAGE:-$kernel_package}
# Configuration of the agent that the kernel needs: 5.10 has no ID-mapped mounts, so no containers with user namespaces.
guest_settings=
[ "$kernel_release" != bullseye ] || guest_settings=user-namespace=auto

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

# Keeps the cache from growing without end: of the entries matching the glob only the newest two stay.
prune() {
	local old
	# Names are keys made by us, without white space.
	# shellcheck disable=SC2012,SC2086
	ls -1dt "$cache"/$1 2>/dev/null | tail -n +3 | while read -r old; do
		rm -rf --one-file-system "$old"
	done
}

# shellcheck source=qemu-test/archive.sh
. "$here/archive.sh"
