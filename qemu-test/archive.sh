# shellcheck shell=bash
# The archives of a Debian release, as the scripts of qemu-test and scripts/newer-debian use them: sourced by them.
: "${cache:?}" "${arch:?}"

# archive RELEASE: prints a directory with apt's view of that release, for this machine's architecture and $arch: sources.list (for
# mmdebstrap, too) and apt.conf. Mirrors and the way to them are the machine's own choice; a release that its apt does not know is looked
# for at the same mirrors. An archive that cannot be used for both architectures (security has been inconsistent for armhf) is left out.
# As old as what the machine's apt knows: it ages with apt-get update.
archive() {
	local dir=$cache/apt-$1-$arch line
	if [ ! -e "$dir/.complete" ] || [ -n "$(find /var/lib/apt/lists -maxdepth 1 -newer "$dir/.complete" -name '*Release' -print -quit)" ]; then
		say "asking for the archives of $1"
		rm -rf "$dir"
		mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
		: >"$dir/status"
		cat >"$dir/apt.conf" <<-CONF
			Dir::State::Lists "$dir/lists";
			Dir::State::status "$dir/status";
			Dir::Cache "$dir/cache";
			Dir::Etc::SourceList "$dir/sources.list";
			Dir::Etc::SourceParts "-";
			APT::Architectures { "$(dpkg --print-architecture)"; "$arch"; };
			APT::Sandbox::User "root";
			APT::Get::List-Cleanup "0";
		CONF
		archive_lines "$1" | while read -r line; do
			printf '%s\n' "$line" >"$dir/line"
			if APT_CONFIG=$dir/apt.conf apt-get -qq update --error-on=any -o "Dir::Etc::SourceList=$dir/line" >"$dir/log" 2>&1; then
				printf '%s\n' "$line" >>"$dir/sources.list"
			else
				say "left out: $line ($(grep -m 1 '^E:' "$dir/log" | cut -c 4-120))"
			fi
		done
		grep -qs " $1 main$" "$dir/sources.list" || die "no archive of Debian $1 for $arch at this machine's mirrors"
		touch "$dir/.complete"
	fi
	printf '%s\n' "$dir"
}

# archive_lines RELEASE: `deb` lines of the archives that it may have
archive_lines() {
	local known base=
	known=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(COMPONENT)' \
		'Created-By: Packages' 'Origin: Debian' | grep -E ' [a-z]+(-updates|-security)? main$' | sort -u)
	if ! grep -q " $1 main$" <<<"$known"; then
		base=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
		known=$(sed "s/ $base\(-updates\|-security\|\) main$/ $1\1 main/" <<<"$known")
	fi
	grep -E " $1(-updates|-security)? main$" <<<"$known" |
		sed 's,^,deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ,'
}

# archive_state DIR: identifies what the archives hold, so that a cached tree ages with them.
archive_state() {
	find "$1/lists" -name '*Release' -print0 | sort -z | xargs -0 sha256sum | cut -d' ' -f1
}

# The machine's own way to the mirrors (proxies, time checks) for an apt that does not read /etc/apt.
apt_options() {
	apt-config dump Acquire | grep -E '^Acquire::(http|https|ftp|Retries|Check-Date|Check-Valid-Until)[: ]' |
		grep -v ' "";$' || true
}
