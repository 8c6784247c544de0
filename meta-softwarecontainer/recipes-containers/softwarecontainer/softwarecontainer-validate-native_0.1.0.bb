SUMMARY = "Finds mistakes in service manifests, with file, line and column"
DESCRIPTION = "Reads service manifests as the agent does. softwarecontainer-manifest.bbclass runs it on the build machine."
SECTION = "devel"

require softwarecontainer-rust.inc

# Every build waits for it; its own speed and size do not matter.
export CARGO_PROFILE_RELEASE_LTO = "off"
export CARGO_PROFILE_RELEASE_CODEGEN_UNITS = "16"

do_compile() {
    oe_cargo_build --package softwarecontainer-validate
}

do_install() {
    install -D -m 0755 ${B}/target/${CARGO_TARGET_SUBDIR}/softwarecontainer-validate ${D}${bindir}/softwarecontainer-validate
}

# It is: what the line before the tasks requires inherits cargo.
# nooelint: oelint.var.inheritlast.native
inherit_defer native
