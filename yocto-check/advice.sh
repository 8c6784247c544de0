# shellcheck shell=bash
# What to do when a step of yocto-check/run fails.
: "${dir:?}" "${log:?}"

advice() {
    case $1 in
    crates | crates-inc) echo "meta-softwarecontainer/scripts/update-crates writes the file anew; a licence: mend LICENSE in softwarecontainer-rust.inc; commit it" ;;
    shell) echo "shellcheck names line and rule" ;;
    python) echo "the last line names the file" ;;
    kernel-config) echo "recipes-kernel/linux/files/*.cfg and scripts/check-kernel-config have to agree" ;;
    oelint) echo "mend the line it names; what shall stay as it is goes into yocto-check/oelint with a reason" ;;
    kas) echo "kas's last lines name file and key; a commit that is missing in a tree: fetch its branch there" ;;
    host-tools) echo "the first line that is an error names the package or the mirror" ;;
    parse) echo "is it a recipe masked in yocto-check/bitbake.sh that is needed now? Else mend the recipe that bitbake names" ;;
    sanity) echo "see classes-global/softwarecontainer-sanity.bbclass: it has to warn once, and not when it is told to be silent" ;;
    fetch) echo "bitbake names the URI; a wrong checksum: see crates" ;;
    build | ptest) echo "the failed task's log is named above (below $dir/builds); a new dependency needs a stand-in in meta-sc-hosttools" ;;
    contents) echo "read the difference; if it is intended: cp $dir/packages yocto-check/expected/packages" ;;
    reproducible) echo "diffoscope shows what differs between the two packages below $dir/builds/build and $dir/builds/reproducible" ;;
    broken-manifest) echo "the build must fail, and with file, line and column: see softwarecontainer-manifest.bbclass" ;;
    image) echo "$dir/builds/image/tmp/work/*/sc-check-image/*/temp/log.do_rootfs has what apt and the maintainer scripts said" ;;
    boot | ptest-boot) echo "'not ok' in $log/$1 says what; consoles and journals are in $dir/${1%-*}-report" ;;
    graph) echo "'Nothing PROVIDES': a recipe that yocto-check/bitbake.sh leaves out is needed, or no layer has it" ;;
    check-layer) echo "the test that is ERROR or FAIL above says which recipe or file; signatures: see the kernel's .bbappend" ;;
    *) echo "see the log" ;;
    esac
}
